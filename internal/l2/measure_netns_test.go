//go:build netns && linux

package l2

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/lintel-lb/lintel/internal/l2/nstest"
	"github.com/lintel-lb/lintel/internal/links"
)

// The measurements are benchmarks that run once and report figures of their own:
//
//	go test -tags netns -run '^$' -bench Measure -benchtime 1x ./internal/l2

const (
	manyAddresses = 10000
	floodRate     = 100_000
	floodFor      = 5 * time.Second
	// floodEnv makes the test binary a sender of foreign requests, so that its processor
	// time is not that of what is measured.
	floodEnv = "LINTEL_TEST_FLOOD"
)

func TestMain(m *testing.M) {
	if os.Getenv(floodEnv) != "" {
		if err := flood(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// flood asks for addresses nobody owns at floodRate for floodFor and prints how many
// requests it sent.
func flood() error {
	ifi, err := net.InterfaceByName("eth0")
	if err != nil {
		return err
	}
	c, err := packet.Listen(ifi, packet.Raw, unix.ETH_P_LOOP, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	mac := links.MACFrom(ifi.HardwareAddr)
	frame := arpFrame{dst: links.Broadcast(), src: mac, op: arpRequest, senderMAC: mac, senderIP: ip4("172.16.0.1")}.append(nil)
	began, n := time.Now(), 0
	for {
		now := time.Since(began)
		if now >= floodFor {
			break
		}
		due := int(now.Seconds() * floodRate)
		if n >= due {
			continue
		}
		err := raw.Control(func(fd uintptr) {
			for ; n < due; n++ {
				binary.BigEndian.PutUint32(frame[38:], 0xac100000+uint32(n)&0xffff)
				if _, werr := unix.Write(int(fd), frame); werr != nil && !errors.Is(werr, unix.ENOBUFS) {
					err = werr
				}
			}
		})
		if err != nil {
			return err
		}
	}
	fmt.Println(n)
	return nil
}

type usage struct {
	cpu   time.Duration
	waits int64
}

func usageNow(b *testing.B) usage {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return usage{time.Duration(r.Utime.Nano() + r.Stime.Nano()), r.Nvcsw}
}

// BenchmarkMeasureForeign shows what foreign requests cost with and without the filter.
func BenchmarkMeasureForeign(b *testing.B) {
	for _, filtered := range []bool{true, false} {
		b.Run(fmt.Sprintf("filter=%v", filtered), func(b *testing.B) { measureForeign(b, filtered) })
	}
}

func measureForeign(b *testing.B, filtered bool) {
	lab := nstest.New(b)
	node, client := lab.NS(), lab.NS()
	lab.Pair(node, "eth0", client, "eth0")
	mac, err := parseMAC(macOf(b, node, "eth0"))
	if err != nil {
		b.Fatal(err)
	}
	addrs := make([]string, 0, 128)
	for i := range 128 {
		addrs = append(addrs, addr4(i*3))
	}
	var own atomic.Pointer[macSet]
	own.Store(&macSet{mac: {}})
	var p *port
	err = node.Do(func() error {
		ifi, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		p, err = openPort(portKey{proto: protoARP, link: "eth0", index: ifi.Index, mac: mac}, &own, testTable(addrs...), func() {})
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	if !filtered {
		all, err := bpf.Assemble([]bpf.Instruction{bpf.RetConstant{Val: accept}})
		if err == nil {
			err = p.conn.SetBPF(all)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() { done <- p.run() }()
	for b.Loop() {
		cmd := client.Cmd(context.Background(), os.Args[0])
		cmd.Env = append(os.Environ(), floodEnv+"=1")
		before := usageNow(b)
		out, err := cmd.Output()
		after := usageNow(b)
		if err != nil {
			b.Fatalf("%v %s", err, out)
		}
		sent, err := strconv.Atoi(string(out[:len(out)-1]))
		if err != nil {
			b.Fatal(err)
		}
		stats, err := p.conn.Stats()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(sent)/floodFor.Seconds(), "requests/s")
		b.ReportMetric(100*float64(after.cpu-before.cpu)/float64(floodFor), "cpu-%")
		b.ReportMetric(float64(after.waits-before.waits)/floodFor.Seconds(), "wakeups/s")
		b.ReportMetric(float64(stats.Packets), "delivered")
		b.ReportMetric(float64(stats.Drops), "dropped")
	}
	if err := errors.Join(p.close(), <-done); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkMeasureMany shows how 10,000 addresses of each family are taken over and
// answered for. The client shares the machine's processors.
func BenchmarkMeasureMany(b *testing.B) {
	lab := nstest.New(b)
	node, client := lab.NS(), lab.NS()
	lab.Pair(node, "eth0", client, "eth0")
	client.IP("addr add 2001:db8:1::1/64 dev eth0 nodad")
	e := start(b, node, nil)
	ready := vip6()
	e.Set(own(ready))
	expect(b, e, ready, on("eth0"))
	d := Desired{Addresses: map[netip.Addr]Scope{}}
	for i := range manyAddresses {
		d.Addresses[netip.MustParseAddr(addr4(i*5))] = Scope{All: true}
		d.Addresses[netip.MustParseAddr(addr6(i*5))] = Scope{All: true}
	}
	for b.Loop() {
		began := time.Now()
		version := e.Set(d)
		applied(b, e, version)
		b.Logf("in force after %s", time.Since(began))
		nstest.Eventually(b, time.Minute, func() (bool, string) {
			n := len(e.Snapshot().Links[0].Groups)
			return n == manyAddresses, fmt.Sprint(n, " groups")
		})
		b.Logf("all groups joined after %s", time.Since(began))
		began = time.Now()
		applied(b, e, e.Set(d))
		b.Logf("the same set again in force after %s", time.Since(began))
	}
	announced := time.Now()
	// The announcements of so many addresses take a while; they must not be measured.
	nstest.Eventually(b, 3*time.Minute, func() (bool, string) {
		n := 0
		for _, s := range e.Snapshot().Addresses {
			if s.Counters.Gratuitous < uint64(len(burst())+1) {
				n++
			}
		}
		return n == 0, fmt.Sprint(n, " addresses have not been announced in full")
	})
	b.Logf("announced in full after %s", time.Since(announced))
	b.Run("ARP", func(b *testing.B) {
		arp := openWire(b, client, "eth0", unix.ETH_P_ARP)
		measureAnswers(b, arp, func(i int) []byte {
			return with(ask("172.16.0.1", addr4(i*5)), func(f *arpFrame) { f.src, f.senderMAC = arp.mac, arp.mac }).append(nil)
		}, func(frame []byte) bool {
			f, ok := parseARP(frame)
			return ok && f.dst == arp.mac && f.op == arpReply
		})
	})
	b.Run("NDP", func(b *testing.B) {
		nd := openWire(b, client, "eth0", unix.ETH_P_IPV6)
		measureAnswers(b, nd, func(i int) []byte {
			return with(solicit("2001:db8:1::1", addr6(i*5)), func(f *ndFrame) { f.src, f.link = nd.mac, nd.mac }).append(nil)
		}, func(frame []byte) bool {
			f, ok := parseND(frame)
			return ok && f.dst == nd.mac && f.typ == typeNA
		})
	})
}

// measureAnswers asks one at a time for the latency, and then with many questions under
// way for the rate.
func measureAnswers(b *testing.B, w *wire, question func(int) []byte, isAnswer func([]byte) bool) {
	frames := make([][]byte, manyAddresses)
	for i := range frames {
		frames[i] = question(i)
	}
	for b.Loop() {
		var took []time.Duration
		for i := range manyAddresses {
			began := time.Now()
			w.send(frames[i*7919%manyAddresses])
			w.await("an answer", isAnswer)
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")

		const total, window = 20 * manyAddresses, 64
		began := time.Now()
		for i := range total {
			if i >= window {
				w.await("an answer", isAnswer)
			}
			w.send(frames[i*7919%manyAddresses])
		}
		for range window {
			w.await("an answer", isAnswer)
		}
		b.ReportMetric(total/time.Since(began).Seconds(), "answers/s")
	}
}

// BenchmarkMeasureGrowth shows what an address more costs an engine that has hundreds, when
// they come one by one.
func BenchmarkMeasureGrowth(b *testing.B) {
	const services = 2000
	for _, share := range []int{3, 1} { // of the addresses, as their owners are spread
		b.Run(fmt.Sprintf("addresses=%d", services/share), func(b *testing.B) {
			node, _ := twoHosts(b)
			e := start(b, node, func(o *Options) { o.Log = slog.New(slog.DiscardHandler) })
			rng := rand.New(rand.NewPCG(1, 2))
			want := map[netip.Addr]Scope{}
			before, began := usageNow(b), time.Now()
			for i := range services {
				if rng.IntN(share) != 0 {
					continue
				}
				want[netip.MustParseAddr(addr4(i))] = Scope{All: true}
				version := e.Set(Desired{Addresses: maps.Clone(want)})
				for e.Snapshot().Applied != version {
					<-e.Changed()
				}
			}
			after := usageNow(b)
			b.ReportMetric(float64((after.cpu-before.cpu).Microseconds())/float64(len(want)), "cpu-us/address")
			b.ReportMetric(float64(time.Since(began).Microseconds())/float64(len(want)), "us/address")
			b.ReportMetric(0, "ns/op")
		})
	}
}

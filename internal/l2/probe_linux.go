package l2

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"

	"github.com/lintel-lb/lintel/internal/links"
)

const (
	// probes are sent probeInterval apart, and the last is waited for as long. RFC 5227
	// takes up to seven seconds, for hosts that boot all at once; on a wired link an
	// answer takes less than a millisecond.
	probes        = 3
	probeInterval = 100 * time.Millisecond
)

// ProbeRequest asks whether an address is free.
type ProbeRequest struct {
	Addr netip.Addr
	// Scope selects the links to ask on. It means the eligible links, as in Desired.
	Scope Scope
	// Ignore names stations whose claims do not count, such as the other nodes of the
	// cluster. It may be nil and is called from several goroutines.
	Ignore func(links.MAC) bool
}

// ProbeResult is the answer to a ProbeRequest.
type ProbeResult struct {
	// Links are the names of the links that were asked on, sorted.
	Links []string `json:"links"`
	// Conflict is the claim of a station to the address, nil if there is none. Of several
	// links it is the first by name.
	Conflict *Conflict `json:"conflict,omitempty"`
	// Proxies are stations that answered for the address but also for one that nobody can
	// have: proxy ARP or its IPv6 counterpart, which says nothing about the address.
	Proxies []Conflict `json:"proxies,omitempty"`
}

// Probe asks on all links in scope at once whether another station has the address, in
// the way of RFC 5227 section 2.1.1 or RFC 4862 section 5.4 but faster: it takes 0.3 s if
// nobody answers, and at most 0.1 s from the first answer. The address need not be desired;
// if this host answers for it, that is no conflict. Run must be at work. The error is
// ErrNoLink, ErrStopped, the context's, or tells about links that could not be asked on; with
// the last the result holds what the other links said.
//
// A proxy is recognised by a second question. A proxy that answers neither for
// documentation addresses nor for the number of the subnet is taken for the holder of the
// address. Linux hosts never answer a probe as a proxy.
func (e *Engine) Probe(ctx context.Context, r ProbeRequest) (ProbeResult, error) {
	var inquirers []*inquirer
	var openErr error
	err := e.inRun(ctx, func() { inquirers, openErr = e.openInquirers(r) })
	if err != nil {
		return ProbeResult{}, err
	}
	var wg sync.WaitGroup
	for _, i := range inquirers {
		wg.Go(func() { i.err = errors.Join(i.ask(ctx), i.close()) })
	}
	wg.Wait()

	var result ProbeResult
	err = openErr
	for _, i := range inquirers {
		err = errors.Join(err, i.err)
		if i.err == nil {
			result.Links = append(result.Links, i.link)
		}
		result.Proxies = append(result.Proxies, i.proxies...)
		if result.Conflict == nil {
			result.Conflict = i.conflict
		}
	}
	if ctx.Err() != nil {
		return result, fmt.Errorf("l2: probe %s: %w", r.Addr, ctx.Err())
	}
	if err == nil && len(inquirers) == 0 {
		return result, fmt.Errorf("%w: %s", ErrNoLink, r.Addr)
	}
	return result, err
}

// inquirer carries an inquiry out on one link.
type inquirer struct {
	inquiry
	link   string
	conn   *packet.Conn
	groups *kernelGroups

	conflict *Conflict
	proxies  []Conflict
	err      error
}

// openInquirers opens what the probe needs on every link in scope, sorted by name.
func (e *Engine) openInquirers(r ProbeRequest) (list []*inquirer, err error) {
	snap := e.source.Snapshot()
	pl := makePlan(Desired{Addresses: map[netip.Addr]Scope{r.Addr: r.Scope}}, candidatesOf(snap, e.exclude))
	own := *hardwareAddrs(snap)
	byName := func(a, b portKey) int { return strings.Compare(a.link, b.link) }
	for _, key := range slices.SortedFunc(maps.Keys(pl.ports), byName) {
		i := &inquirer{link: key.link, inquiry: inquiry{
			addr: r.Addr, own: own, ignore: r.Ignore, self: station{mac: key.mac},
		}}
		if l, ok := snap.ByName(key.link); ok {
			i.witnesses = witnessesFor(r.Addr, l.Prefixes)
		}
		if oerr := i.open(key); oerr != nil {
			err = errors.Join(err, fmt.Errorf("l2: probe %s on %s: %w", r.Addr, key.link, oerr))
			continue
		}
		list = append(list, i)
	}
	return list, err
}

func (i *inquirer) open(key portKey) error {
	var watched []*entry
	for _, a := range append([]netip.Addr{i.addr}, i.witnesses...) {
		watched = append(watched, &entry{addr: a})
	}
	_, err := withFilter(key.proto, newTable(watched).keys(), func(f []bpf.RawInstruction) (err error) {
		i.conn, err = listen(key, f)
		return err
	})
	if err != nil {
		return err
	}
	if key.proto == protoNDP {
		// Others' duplicate address detection is heard through the group only.
		i.groups = newKernelGroups(key.index)
		if err := i.groups.join(solicitedNodeAddr(i.addr)); err != nil {
			return errors.Join(err, i.close())
		}
	}
	return nil
}

func (i *inquirer) close() error {
	err := i.conn.Close()
	if i.groups != nil {
		err = errors.Join(err, i.groups.close())
	}
	return err
}

// ask sends the probes until one is answered, and then finds out by whom.
func (i *inquirer) ask(ctx context.Context) error {
	for range probes {
		by, err := i.round(ctx, []netip.Addr{i.addr}, func(a netip.Addr, _ links.MAC) bool { return a == i.addr })
		if err != nil {
			return err
		}
		if by == nil {
			continue
		}
		if len(i.witnesses) > 0 {
			isProxy := func(a netip.Addr, m links.MAC) bool { return a != i.addr && m == by.MAC }
			proxy, err := i.round(ctx, i.witnesses, isProxy)
			if err != nil {
				return err
			}
			if proxy != nil {
				i.proxies = append(i.proxies, *by)
				proxyMAC, ignore := by.MAC, i.ignore
				i.ignore = func(m links.MAC) bool { return m == proxyMAC || ignore != nil && ignore(m) }
				continue // behind the proxy's answer there may be the holder's
			}
		}
		i.conflict = by
		return nil
	}
	return nil
}

// round sends one question for each address and waits for the first claim that matches.
func (i *inquirer) round(ctx context.Context, ask []netip.Addr, match func(netip.Addr, links.MAC) bool) (*Conflict, error) {
	deadline := time.Now().Add(probeInterval)
	if err := i.conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = i.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	// What is sent to is in the frame; the address of the call does not count.
	to := links.Broadcast()
	for _, a := range ask {
		if _, err := i.conn.WriteTo(i.probeFrame(a), &packet.Addr{HardwareAddr: to[:]}); err != nil {
			return nil, fmt.Errorf("l2: probe %s on %s: %w", i.addr, i.link, err)
		}
	}
	buf := make([]byte, frameBuffer)
	for {
		n, _, err := i.conn.ReadFrom(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, ctx.Err()
		case err != nil:
			return nil, fmt.Errorf("l2: probe %s on %s: %w", i.addr, i.link, err)
		}
		if a, by, ok := i.judge(buf[:n]); ok && match(a, by) {
			now := time.Now()
			return &Conflict{Link: i.link, MAC: by, First: now, Last: now}, nil
		}
	}
}

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/yaml"

	"github.com/lintel-lb/lintel/internal/bfd"
	"github.com/lintel-lb/lintel/internal/bgp"
	"github.com/lintel-lb/lintel/internal/kube/endpoint"
	"github.com/lintel-lb/lintel/internal/kube/speaker"
	"github.com/lintel-lb/lintel/internal/kube/translate"
	"github.com/lintel-lb/lintel/internal/kube/watch"
	"github.com/lintel-lb/lintel/internal/kube/worldfile"
	"github.com/lintel-lb/lintel/internal/l2"
	"github.com/lintel-lb/lintel/internal/lb"
	"github.com/lintel-lb/lintel/internal/links"
	"github.com/lintel-lb/lintel/internal/members"
)

// Files that the speaker reads at its start, where they exist.
const (
	excludeFile = "/etc/metallb/excludel2.yaml"
	tuningFile  = "/etc/metallb/memberlist/config.json"
)

// minProcessors is the least number of goroutines that run at a time.
const minProcessors = 2

// joinWait bounds how long a starting speaker waits for others that do not answer.
const joinWait = 3 * time.Second

// speakerFlags are the flags of the speaker alone.
type speakerFlags struct {
	node          string
	bindAddr      string
	bindPort      int
	labels        string
	secretName    string
	secretPath    string
	wan           bool
	ignoreExclude bool
	gateURL       string
	stateDir      string
}

func (f *speakerFlags) register(fs *flag.FlagSet, c *common) error {
	c.obsolete.add(fs, "addresses are taken from the Node", []string{"host"}, nil)
	c.obsolete.add(fs, "BGP is built in", []string{"frrk8s-namespace", "bgp-debounce-timeout"}, nil)
	port := members.DefaultPort
	if s := os.Getenv("METALLB_ML_BIND_PORT"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			return fmt.Errorf("METALLB_ML_BIND_PORT=%q is not a port", s)
		}
		port = n
	}
	fs.StringVar(&f.node, "node-name", os.Getenv("METALLB_NODE_NAME"), "`name` of the Node that this speaker is on")
	fs.StringVar(&f.bindAddr, "ml-bindaddr", os.Getenv("METALLB_ML_BIND_ADDR"), "`address` for memberlist; empty turns membership off")
	fs.IntVar(&f.bindPort, "ml-bindport", port, "TCP and UDP `port` for memberlist")
	fs.StringVar(&f.labels, "ml-labels", os.Getenv("METALLB_ML_LABELS"), "label `selector` of the speaker pods; empty turns membership off")
	fs.StringVar(&f.secretName, "ml-secret-name", os.Getenv("METALLB_ML_SECRET_NAME"), "`name` of the Secret with the memberlist key, watched")
	fs.StringVar(&f.secretPath, "ml-secret-key-path", os.Getenv("METALLB_ML_SECRET_KEY_PATH"), "`directory` with the file secretkey; used where --ml-secret-name is not given")
	fs.BoolVar(&f.wan, "ml-wan-config", false, "use memberlist's profile for wide area networks")
	fs.BoolVar(&f.ignoreExclude, "ignore-exclude-lb", false, "announce also from nodes labelled "+lb.LabelExclude)
	fs.StringVar(&f.gateURL, "dataplane-check-url", "", "announce only while this `URL` answers 200, such as http://127.0.0.1:10256/healthz for kube-proxy")
	fs.StringVar(&f.stateDir, "state-dir", "/var/lib/lintel", "`directory` on the node for a copy of what is announced, passwords included, from which a speaker starts while the API server is away; empty keeps none")
	return nil
}

func runSpeaker(ctx context.Context, args []string) error {
	var c common
	var f speakerFlags
	fs := flag.NewFlagSet("lintel speaker", flag.ContinueOnError)
	c.register(fs)
	if err := f.register(fs, &c); err != nil {
		return err
	}
	if err := fs.Parse(args); err != nil {
		return err
	}
	collectEarlier()
	if err := c.complete(); err != nil {
		return err
	}
	if f.node == "" {
		return errors.New("--node-name is not set: give it, or METALLB_NODE_NAME")
	}
	log, err := c.logger()
	if err != nil {
		return err
	}
	exclude, err := readExclusions(excludeFile)
	if err != nil {
		return err
	}
	membership, err := f.membership(log)
	if err != nil {
		return err
	}
	selector, err := labels.Parse(f.labels)
	if err != nil {
		return fmt.Errorf("--ml-labels %q: %w", f.labels, err)
	}
	api, err := c.apiServer(log)
	if err != nil {
		return err
	}
	clientset, err := kubernetes.NewForConfigAndClient(core(api.Config), api.Once)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	sources, err := kubernetes.NewForConfigAndClient(core(api.Config), api.Patient)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	refusals := watch.NewRefusals(log)
	store, client, err := caches(api, c.namespace, refusals)
	if err != nil {
		return err
	}
	events, err := recorder(clientset, "metallb-speaker")
	if err != nil {
		return err
	}
	defer events.stop()

	watcher := links.NewWatcher(log)
	engine := l2.New(l2.Options{Log: log, Links: watcher, Exclude: exclude})
	paths := bfd.New(bfd.Options{Log: log})
	neighbors := bgp.NewLinkNeighbors(log)
	bridge := speaker.NewBFDBridge(paths, neighbors, log)
	routes := bgp.New(bgp.Options{Log: log, BFD: bridge, Neighbors: neighbors})
	runRoutes := func(ctx context.Context) error {
		defer neighbors.Wait()
		return routes.Run(ctx)
	}
	metrics, err := speaker.NewMetrics(ctrlmetrics.Registry, engine, routes, paths)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	var gate *speaker.Gate
	if f.gateURL != "" {
		gate = speaker.NewGate(f.gateURL, log)
	}
	keep, err := f.keep(api.Config, &c, log)
	if err != nil {
		return err
	}
	peers := &speaker.Peers{Log: log, Cache: store, Members: membership, Secret: f.secretName,
		Matches: func(l map[string]string) bool { return selector.Matches(labels.Set(l)) }}
	services, slices := speaker.Sources(sources)
	spk := speaker.New(speaker.Config{
		Node: f.node, Namespace: c.namespace, Pod: c.podName, Classes: translate.ParseClasses(c.lbClass),
		Settings: lb.Settings{IgnoreExcludeLabel: f.ignoreExclude},
		Usable:   func(l *links.Link) bool { ok, _ := links.Eligible(l, exclude); return ok },
		JoinWait: joinWait, Keep: keep, MembersSecret: f.secretName,
	}, speaker.Parts{
		Log: log, Cache: store, Client: client, Events: events, Services: services, Slices: slices,
		Engine: engine, BGP: routes, BFD: bridge, Members: membership, Links: watcher, Gate: gate, Speakers: peers.Known, Refusals: refusals,
	}, metrics)
	peers.Borrowing = spk.Borrowing()
	tlsOptions, err := c.tls.options()
	if err != nil {
		return err
	}
	server, err := endpoint.New(api.Config, endpoint.Options{Port: c.port, CertDir: c.certDir, TLS: tlsOptions,
		Handlers: map[string]http.Handler{endpoint.SpeakerPath: spk.Inspector(version, time.Now())}})
	if err != nil {
		return err
	}

	// A BFD timer must not wait for the one processor that other work keeps busy.
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), minProcessors))
	log.Info("speaker starts", "version", version, "node", f.node, "namespace", c.namespace)
	servers := append(c.extra(), store.Start, peers.Run, server.Start, spk.KeepCopy,
		health{addr: fmt.Sprintf("127.0.0.1:%d", c.healthPort), ready: spk.Ready}.Run)
	if gate != nil {
		servers = append(servers, gate.Run)
	}
	join := func(ctx context.Context) error {
		select {
		case <-spk.Started():
			return membership.Run(ctx)
		case <-ctx.Done():
			return nil
		}
	}
	reason := endReason{pods: clientset.CoreV1().Pods(c.namespace), nodes: clientset.CoreV1().Nodes(), pod: c.podName, node: f.node, dial: dialTCP}
	ends := handover{log: log, members: membership, layer2: engine, bgp: routes, bfd: paths, reason: reason.find}
	return ends.run(ctx, spk.Run,
		[]func(context.Context) error{watcher.Run, engine.Run, paths.Run, runRoutes, join}, servers)
}

// keep is where the copy for the time without API server is kept; nil where the flags or the
// node have no place for it.
func (f *speakerFlags) keep(cfg *rest.Config, c *common, log *slog.Logger) (*worldfile.File, error) {
	if f.stateDir == "" {
		return nil, nil
	}
	if info, err := os.Stat(f.stateDir); err != nil || !info.IsDir() {
		log.Warn("no copy is kept for the time without API server: mount a directory of the node there, or set --state-dir to one or to nothing",
			"directory", f.stateDir, "error", err)
		return nil, nil
	}
	authority := cfg.CAData
	if len(authority) == 0 && cfg.CAFile != "" {
		var err error
		if authority, err = os.ReadFile(cfg.CAFile); err != nil {
			return nil, fmt.Errorf("read the certificate authority of the API server: %w", err)
		}
	}
	if len(authority) == 0 {
		authority = []byte(cfg.Host)
	}
	sum := sha256.Sum256(authority)
	return worldfile.New(f.stateDir, worldfile.Origin{Node: f.node, Namespace: c.namespace,
		Cluster: hex.EncodeToString(sum[:]), Classes: translate.ParseClasses(c.lbClass)}), nil
}

// membership makes the membership that the flags ask for.
func (f *speakerFlags) membership(log *slog.Logger) (members.Membership, error) {
	if f.bindAddr == "" || f.labels == "" {
		log.Warn("membership is off: a node that dies keeps its addresses until its Node object goes, and speakers must run on all nodes")
		return members.Disabled(f.node), nil
	}
	addr, err := netip.ParseAddr(f.bindAddr)
	if err != nil {
		return nil, fmt.Errorf("--ml-bindaddr %q is not an IP address", f.bindAddr)
	}
	tuning, err := readTuning(tuningFile)
	if err != nil {
		return nil, err
	}
	m, err := members.New(members.Config{
		NodeName: f.node, BindAddr: addr, BindPort: uint16(f.bindPort), WAN: f.wan, Tuning: tuning,
		Keyed: f.secretName != "" || f.secretPath != "", Log: log,
	})
	if err != nil {
		return nil, err
	}
	if f.secretName == "" && f.secretPath != "" {
		text, err := os.ReadFile(f.secretPath + "/secretkey")
		if err != nil {
			return nil, fmt.Errorf("read the memberlist key: %w", err)
		}
		if err := m.SetKeys(members.KeyFromSecret(text)); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// readExclusions reads the patterns of links that are never used. Without the file there are none.
func readExclusions(path string) ([]*regexp.Regexp, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var file struct {
		Patterns []string `json:"announcedInterfacesToExclude"`
	}
	if err := yaml.UnmarshalStrict(b, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var out []*regexp.Regexp
	for _, p := range file.Patterns {
		re, err := regexp.Compile(p)
		if err != nil {
			return nil, fmt.Errorf("%s: announcedInterfacesToExclude: %w", path, err)
		}
		out = append(out, re)
	}
	return out, nil
}

// readTuning reads the memberlist parameters. Without the file the profile's apply.
func readTuning(path string) (members.Tuning, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return members.Tuning{}, nil
	}
	if err != nil {
		return members.Tuning{}, err
	}
	t, err := members.ParseTuning(b)
	if err != nil {
		return members.Tuning{}, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

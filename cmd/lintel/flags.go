package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/lintel-lb/lintel/internal/kube/apiserver"
)

// namespaceFile tells the namespace of the pod that a process runs in.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// common are the flags that both daemons have.
type common struct {
	port       int
	healthPort int
	namespace  string
	podName    string
	logLevel   string
	lbClass    string
	kubeconfig string
	certDir    string
	pprofAddr  string
	plainAddr  string
	tls        tlsFlags
	obsolete   obsolete
}

func (c *common) register(fs *flag.FlagSet) {
	fs.IntVar(&c.port, "port", 9120, "HTTPS `port` of metrics and inspection")
	fs.IntVar(&c.healthPort, "health-probe-port", 17472, "HTTP `port` of /healthz and /readyz")
	fs.StringVar(&c.namespace, "namespace", os.Getenv("METALLB_NAMESPACE"), "`namespace` of the metallb.io objects; default is that of the pod")
	fs.StringVar(&c.podName, "pod-name", os.Getenv("METALLB_POD_NAME"), "`name` of the own pod")
	fs.StringVar(&c.logLevel, "log-level", "info", "`level`: all, debug, info, warn, error or none")
	fs.StringVar(&c.lbClass, "lb-class", "", "comma-separated `list` of the spec.loadBalancerClass to serve; an empty element stands for Services without one")
	fs.StringVar(&c.kubeconfig, "kubeconfig", "", "`file` with credentials; default is the service account of the pod")
	fs.StringVar(&c.pprofAddr, "pprof-bind-address", "", "serve profiles on this `address`, without authentication; empty means not at all")
	fs.StringVar(&c.plainAddr, "metrics-http-address", "", "serve /metrics also on this `address`, over HTTP and without authentication; empty means not at all")
	c.tls.register(fs)
	fs.StringVar(&c.certDir, "metrics-cert-dir", "", "`directory` with tls.crt and tls.key for the HTTPS port; default is a self-signed certificate")
}

// complete checks the flags and fills in defaults.
func (c *common) complete() error {
	if c.namespace == "" {
		b, err := os.ReadFile(namespaceFile)
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("--namespace is not set and there is no service account at %s: give --namespace", namespaceFile)
		}
		if err != nil {
			return err
		}
		c.namespace = strings.TrimSpace(string(b))
	}
	return nil
}

// extra are the servers that flags ask for.
func (c *common) extra() []func(context.Context) error {
	var out []func(context.Context) error
	if c.pprofAddr != "" {
		out = append(out, profiler{addr: c.pprofAddr}.Run)
	}
	if c.plainAddr != "" {
		out = append(out, plainMetrics{addr: c.plainAddr, gatherer: ctrlmetrics.Registry}.Run)
	}
	return out
}

// apiServer gives access to the API server, without a limit on the client's side: the
// server's own priority and fairness is the limit that counts.
func (c *common) apiServer(log *slog.Logger) (apiserver.Access, error) {
	if err := apiserver.CheckConnections(); err != nil {
		return apiserver.Access{}, err
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	if err != nil {
		return apiserver.Access{}, fmt.Errorf("find the API server: %w", err)
	}
	cfg.QPS = -1
	// The API server is near, and unpacking every change of a watch costs more than its bytes.
	cfg.DisableCompression = true
	cfg.UserAgent = "lintel/" + version
	return apiserver.Connect(cfg, log)
}

// core is access to the kinds of Kubernetes itself, which understand the encoding that takes the
// least work.
func core(cfg *rest.Config) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.ContentType = runtime.ContentTypeProtobuf
	cfg.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return cfg
}

// logger makes the logger, also for the libraries that log through logr and klog.
func (c *common) logger() (*slog.Logger, error) {
	levels := map[string]slog.Level{
		"all": slog.LevelDebug - 4, "debug": slog.LevelDebug, "info": slog.LevelInfo,
		"warn": slog.LevelWarn, "error": slog.LevelError, "none": slog.LevelError + 100,
	}
	level, ok := levels[c.logLevel]
	if !ok {
		return nil, fmt.Errorf("--log-level %q is none of all, debug, info, warn, error, none", c.logLevel)
	}
	log := slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{Level: level}))
	libraries := slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{Level: max(level, slog.LevelWarn)}))
	ctrllog.SetLogger(logr.FromSlogHandler(libraries.Handler()))
	klog.SetSlogLogger(libraries)
	c.obsolete.warn(log)
	return log, nil
}

package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/lintel-lb/lintel/internal/kube/controller"
	"github.com/lintel-lb/lintel/internal/kube/endpoint"
	"github.com/lintel-lb/lintel/internal/kube/resources"
	"github.com/lintel-lb/lintel/internal/kube/translate"
	"github.com/lintel-lb/lintel/internal/kube/watch"
)

// controllerFlags are the flags of the controller alone.
type controllerFlags struct {
	secret, deployment, lease string
}

func (f *controllerFlags) register(fs *flag.FlagSet, c *common) {
	fs.StringVar(&f.secret, "ml-secret-name", os.Getenv("METALLB_ML_SECRET_NAME"), "`name` of the memberlist Secret to make if it is missing; empty means none")
	fs.StringVar(&f.deployment, "deployment", os.Getenv("METALLB_DEPLOYMENT"), "`name` of the own Deployment, which owns the memberlist Secret")
	fs.StringVar(&f.lease, "lease-name", "lintel-controller", "`name` of the Lease that replicas elect their leader with")
	c.obsolete.add(fs, "there is no webhook",
		[]string{"cert-dir", "cert-service-name", "webhook-secret", "webhook-mode"}, []string{"disable-cert-rotation", "webhook-http2"})
}

func runController(ctx context.Context, args []string) error {
	var c common
	var f controllerFlags
	fs := flag.NewFlagSet("lintel controller", flag.ContinueOnError)
	c.register(fs)
	f.register(fs, &c)
	if err := fs.Parse(args); err != nil {
		return err
	}
	if err := c.complete(); err != nil {
		return err
	}
	log, err := c.logger()
	if err != nil {
		return err
	}
	api, err := c.apiServer(log)
	if err != nil {
		return err
	}
	clientset, err := kubernetes.NewForConfigAndClient(core(api.Config), api.Once)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	store, client, err := caches(api, c.namespace, watch.NewRefusals(log))
	if err != nil {
		return err
	}
	metrics, err := controller.NewMetrics(ctrlmetrics.Registry)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	events, err := recorder(clientset, "metallb-controller")
	if err != nil {
		return err
	}
	defer events.stop()
	identity := c.podName
	if identity == "" {
		if identity, err = os.Hostname(); err != nil {
			return fmt.Errorf("--pod-name is not set: %w", err)
		}
	}
	ctl := controller.New(controller.Config{
		Namespace: c.namespace, Classes: translate.ParseClasses(c.lbClass), Identity: identity, Lease: f.lease,
		MemberlistSecret: f.secret, Deployment: f.deployment,
	}, controller.Parts{Log: log, Cache: store, Client: client, Clientset: clientset, Events: events, Metrics: metrics})
	tlsOptions, err := c.tls.options()
	if err != nil {
		return err
	}
	server, err := endpoint.New(api.Config, endpoint.Options{Port: c.port, CertDir: c.certDir, TLS: tlsOptions})
	if err != nil {
		return err
	}
	log.Info("controller starts", "version", version, "namespace", c.namespace)
	return runAll(ctx, append(c.extra(), store.Start, ctl.Run, server.Start,
		health{addr: fmt.Sprintf(":%d", c.healthPort), ready: ctl.Ready}.Run)...)
}

// events is a recorder whose queue can be ended.
type events struct {
	record.EventRecorder
	stop func()
}

// recorder makes a recorder of events, which are sent in the background and dropped rather
// than waited for.
func recorder(clientset kubernetes.Interface, component string) (events, error) {
	s, err := resources.Scheme()
	if err != nil {
		return events{}, err
	}
	b := record.NewBroadcaster()
	b.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: clientset.CoreV1().Events("")})
	return events{EventRecorder: b.NewRecorder(s, corev1.EventSource{Component: component}), stop: b.Shutdown}, nil
}

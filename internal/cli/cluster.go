package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/internal/announce"
	"github.com/lintel-lb/lintel/internal/config"
	"github.com/lintel-lb/lintel/internal/kube/diagnose"
	"github.com/lintel-lb/lintel/internal/kube/endpoint"
	"github.com/lintel-lb/lintel/internal/kube/resources"
	"github.com/lintel-lb/lintel/internal/kube/translate"
	"github.com/lintel-lb/lintel/internal/lb"
)

// askTimeout bounds asking one speaker.
const askTimeout = 4 * time.Second

// inspectionPort is where a speaker serves its inspection: the port that the manifests call
// metricshttps, or else the default.
func inspectionPort(pod *corev1.Pod) string {
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			if p.Name == "metricshttps" {
				return strconv.Itoa(int(p.ContainerPort))
			}
		}
	}
	return "9120"
}

// cluster is access to a cluster.
type cluster struct {
	client    client.Client
	clientset kubernetes.Interface
	namespace string
	system    string
	account   string
	// inspect asks the speaker in a pod about itself, and about a Service if one is given.
	inspect func(ctx context.Context, pod *corev1.Pod, token string, service *lb.ServiceKey) (*endpoint.SpeakerReport, error)
}

// connect uses kubectl's configuration.
func (o *options) connect() (*cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: o.context})
	namespace := o.namespace
	if namespace == "" {
		var err error
		if namespace, _, err = loader.Namespace(); err != nil {
			return nil, fmt.Errorf("read the kubeconfig: %w", err)
		}
	}
	cfg, err := loader.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	cfg.QPS = -1
	scheme, err := resources.Scheme()
	if err != nil {
		return nil, err
	}
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("reach the API server: %w", err)
	}
	clientset, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	out := &cluster{client: c, clientset: clientset, namespace: namespace, system: o.system, account: o.account}
	out.inspect = out.askOne
	return out, nil
}

// answer is what came of asking one speaker.
type answer struct {
	pod    string
	report *endpoint.SpeakerReport
	err    error
}

// picture is what is known of a cluster at one moment.
type picture struct {
	services map[lb.ServiceKey]*corev1.Service
	// foreign are the Services that are not ours, with the reason.
	foreign  map[lb.ServiceKey]lb.Reason
	verdicts []config.Verdict
	// resources are what the configuration was made of.
	resources config.Resources
	// controlled is set where a controller is ready.
	controlled bool
	// answers are by node.
	answers map[string]answer
	decider *announce.Decider
	// kubeProxy is what is wrong with kube-proxy's configuration.
	kubeProxy string
}

// look reads everything that decisions depend on. service, if not nil, is the Service that
// speakers are asked about.
func (c *cluster) look(ctx context.Context, service *lb.ServiceKey) (*picture, error) {
	var (
		services corev1.ServiceList
		parts    discoveryv1.EndpointSliceList
		nodes    corev1.NodeList
		pods     corev1.PodList
	)
	for _, list := range []client.ObjectList{&services, &parts, &nodes} {
		if err := c.client.List(ctx, list); err != nil {
			return nil, fmt.Errorf("list %T: %w", list, err)
		}
	}
	if err := c.client.List(ctx, &pods, client.InNamespace(c.system)); err != nil {
		return nil, fmt.Errorf("list the pods in %s: %w", c.system, err)
	}
	p := &picture{services: map[lb.ServiceKey]*corev1.Service{}, foreign: map[lb.ServiceKey]lb.Reason{}, answers: c.ask(ctx, pods.Items, service)}
	for i := range pods.Items {
		p.controlled = p.controlled || isPart(&pods.Items[i], "controller") && ready(&pods.Items[i])
	}
	w := lb.NewWorld()
	for i := range nodes.Items {
		n := translate.Node(&nodes.Items[i])
		w.Nodes[n.Name] = n
	}
	for i := range services.Items {
		svc := &services.Items[i]
		k := lb.ServiceKey{Namespace: svc.Namespace, Name: svc.Name}
		p.services[k] = svc
		if ok, why := p.classes().Handles(svc); ok {
			w.Services[k] = translate.Service(svc)
		} else {
			p.foreign[k] = why
		}
	}
	sums := map[lb.ServiceKey]map[string]translate.SliceSum{}
	for i := range parts.Items {
		s := &parts.Items[i]
		if k, ok := translate.SliceOwner(s); ok {
			if sums[k] == nil {
				sums[k] = map[string]translate.SliceSum{}
			}
			sums[k][s.Name] = translate.Slice(s)
		}
	}
	for k, parts := range sums {
		w.Endpoints[k] = translate.Sum(parts)
	}
	in, err := resources.Read(ctx, c.client, c.system, resources.Context{Nodes: w.Nodes, Assigned: assigned(w)})
	if err != nil {
		return nil, err
	}
	result := config.Parse(in)
	p.resources = in
	w.Config, p.verdicts = result.Config, result.Verdicts
	p.heard(w)
	if cm, err := c.clientset.CoreV1().ConfigMaps(diagnose.KubeProxyNamespace).Get(ctx, diagnose.KubeProxyConfigMap, metav1.GetOptions{}); err == nil && len(w.Config.L2) > 0 {
		p.kubeProxy = diagnose.StrictARP(cm)
	}
	p.decider = announce.Decide(w)
	return p, nil
}

// classes are those that the speakers serve; where none tells, Services without a class. While the
// flag is rolled out they are those of all.
func (p *picture) classes() translate.Classes {
	var all []string
	for _, a := range p.answers {
		if a.report != nil {
			all = append(all, a.report.Classes...)
		}
	}
	if len(all) == 0 {
		return translate.ParseClasses("")
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// heard brings into the World what the speakers said: who is alive, and their links.
func (p *picture) heard(w *lb.World) {
	w.Members = lb.Members{Enabled: true, Alive: map[string]bool{}}
	alone := false
	for node, a := range p.answers {
		if a.report == nil {
			continue
		}
		w.Members.Alive[node] = true
		alone = alone || a.report.Alone
		for _, m := range a.report.Members {
			w.Members.Alive[m] = true
		}
		w.Links[node] = a.report.Links
		w.Gateways[node] = a.report.Gateways
		w.Gated[node] = a.report.Gated
		w.Settings.IgnoreExcludeLabel = w.Settings.IgnoreExcludeLabel || a.report.Settings.IgnoreExcludeLabel
		w.Settings.Mixed = w.Settings.Mixed || a.report.Settings.Mixed
	}
	if alone {
		w.Members = lb.Members{} // as speakers take it that do not watch each other
	}
}

func assigned(w *lb.World) map[addr]string {
	out := map[addr]string{}
	for _, s := range w.Services {
		for _, a := range s.Addresses {
			out[a] = s.AssignedPool
		}
	}
	return out
}

// isPart tells a pod of the "speaker" or the "controller" by the labels of the chart or of the plain
// manifests.
func isPart(pod *corev1.Pod, part string) bool {
	return pod.Labels["app.kubernetes.io/component"] == part || pod.Labels["component"] == part
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// ended tells whether nothing runs in a pod any more, as in one that was evicted.
func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
}

// ask asks all speakers at once.
func (c *cluster) ask(ctx context.Context, pods []corev1.Pod, service *lb.ServiceKey) map[string]answer {
	answers := map[string]answer{}
	var speakers []*corev1.Pod
	for i := range pods {
		if isPart(&pods[i], "speaker") && pods[i].Spec.NodeName != "" && pods[i].DeletionTimestamp == nil && !ended(&pods[i]) {
			speakers = append(speakers, &pods[i])
		}
	}
	if len(speakers) == 0 {
		return answers
	}
	token, err := c.token(ctx)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, pod := range speakers {
		wg.Go(func() {
			a := answer{pod: pod.Name, err: err}
			if err == nil {
				a.report, a.err = c.inspect(ctx, pod, token, service)
			}
			mu.Lock()
			defer mu.Unlock()
			// A node may have a second pod, such as one of MetalLB, which does not answer.
			if known, other := answers[pod.Spec.NodeName]; !other || known.report == nil {
				answers[pod.Spec.NodeName] = a
			}
		})
	}
	wg.Wait()
	return answers
}

// token gets a short-lived token of the account that may inspect speakers.
func (c *cluster) token(ctx context.Context) (string, error) {
	seconds := int64(600)
	t, err := c.clientset.CoreV1().ServiceAccounts(c.system).CreateToken(ctx, c.account,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("get a token of service account %s/%s: %w", c.system, c.account, err)
	}
	return t.Status.Token, nil
}

func (c *cluster) askOne(ctx context.Context, pod *corev1.Pod, token string, service *lb.ServiceKey) (*endpoint.SpeakerReport, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req := c.clientset.CoreV1().RESTClient().Get().
		Namespace(c.system).Resource("pods").Name("https:"+pod.Name+":"+inspectionPort(pod)).SubResource("proxy").
		Suffix(endpoint.SpeakerPath).
		SetHeader(endpoint.HeaderAuthorization, "Bearer "+token)
	if service != nil {
		req = req.Param("service", service.String())
	}
	body, err := req.DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	var report endpoint.SpeakerReport
	if err := json.Unmarshal(body, &report); err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", pod.Name, err)
	}
	return &report, nil
}

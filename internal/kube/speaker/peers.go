package speaker

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/lintel-lb/lintel/internal/kube/inbox"
	"github.com/lintel-lb/lintel/internal/kube/mixed"
	"github.com/lintel-lb/lintel/internal/kube/watch"
	"github.com/lintel-lb/lintel/internal/kube/worldfile"
	"github.com/lintel-lb/lintel/internal/members"
)

// secretKey and previousKey are the keys in the memberlist Secret that hold the gossip key,
// and one that is accepted besides while keys are changed.
const (
	secretKey   = "secretkey"
	previousKey = "secretkey-previous"
)

// Peers tells the membership who ought to take part and with which key, from the speaker
// pods, those of MetalLB among them while membership is mixed, and the memberlist Secret.
// Nothing needs to exist when it starts.
type Peers struct {
	Log     *slog.Logger
	Cache   cache.Cache
	Members members.Membership
	// Secret is the name of the memberlist Secret; empty where the key comes from elsewhere.
	Secret string
	// Matches tells a speaker's pod by its labels.
	Matches func(labels map[string]string) bool
	// Borrowing receives the copy of the World when the speaker works from it because the API
	// server cannot be reached: its speakers and key are used until others are known.
	Borrowing <-chan *worldfile.Copy

	known atomic.Pointer[[]members.Peer]
}

// Known are the speakers that the API server named last.
func (p *Peers) Known() []members.Peer {
	if known := p.known.Load(); known != nil {
		return slices.Clone(*known)
	}
	return nil
}

// peersBatch is what watches have seen since the last look.
type peersBatch struct {
	pods   map[string]*corev1.Pod
	secret *corev1.Secret
	// mixed is the setting of mixed membership, nil if it went; mixedChanged says that it was seen.
	mixed        *corev1.ConfigMap
	mixedChanged bool
}

// Run follows pods and Secret until ctx is done.
func (p *Peers) Run(ctx context.Context) error {
	in := inbox.New(func() *peersBatch { return &peersBatch{pods: map[string]*corev1.Pod{}} })
	_, err := watch.Objects(ctx, p.Cache, &corev1.Pod{},
		func(o *corev1.Pod) { in.Post(func(b *peersBatch) { b.pods[o.Name] = o }) },
		func(o *corev1.Pod) { in.Post(func(b *peersBatch) { b.pods[o.Name] = nil }) })
	if err != nil {
		return fmt.Errorf("speaker: %w", err)
	}
	if p.Secret != "" {
		_, err := watch.Objects(ctx, p.Cache, &corev1.Secret{},
			func(o *corev1.Secret) {
				if o.Name == p.Secret {
					in.Post(func(b *peersBatch) { b.secret = o })
				}
			},
			func(*corev1.Secret) {})
		if err != nil {
			return fmt.Errorf("speaker: %w", err)
		}
	}
	_, err = watchMixed(ctx, p.Cache, func(cm *corev1.ConfigMap) {
		in.Post(func(b *peersBatch) { b.mixed, b.mixedChanged = cm, true })
	})
	if err != nil {
		return fmt.Errorf("speaker: %w", err)
	}
	pods := map[string]*corev1.Pod{}
	keys := keyRing{}
	foreign := labels.Nothing()
	for {
		select {
		case <-ctx.Done():
			return nil
		case c := <-p.Borrowing:
			p.borrow(c, len(pods) == 0, &keys)
			continue
		case <-in.Ready():
		}
		b := in.Take()
		for name, pod := range b.pods {
			if pod == nil {
				delete(pods, name)
			} else {
				pods[name] = pod
			}
		}
		if b.mixedChanged {
			foreign = p.foreign(b.mixed, foreign)
		}
		if len(b.pods) > 0 || b.mixedChanged {
			list := p.peers(pods, foreign)
			p.known.Store(&list)
			p.Members.SetPeers(list)
		}
		if b.secret != nil {
			p.setKeys(&keys, b.secret)
		}
	}
}

func (p *Peers) setKeys(keys *keyRing, secret *corev1.Secret) {
	if !keys.set(secret.Data) {
		return
	}
	if err := p.Members.SetKeys(keys.primary, keys.others...); err != nil {
		p.Log.Error("the memberlist Secret cannot be used", "secret", p.Secret, "error", err)
	}
}

// borrow uses a copy for what the API server has not told.
func (p *Peers) borrow(c *worldfile.Copy, speakers bool, keys *keyRing) {
	if speakers {
		p.Members.SetPeers(c.World.Speakers)
	}
	if secret := c.World.Secret(p.Secret); secret != nil && keys.primary == nil {
		p.setKeys(keys, secret)
	}
}

// foreign gives the selector of the pods of MetalLB's speakers. A setting that cannot be read
// leaves the one before.
func (p *Peers) foreign(cm *corev1.ConfigMap, before labels.Selector) labels.Selector {
	if cm == nil {
		return labels.Nothing()
	}
	m, err := mixed.Read(cm)
	if err != nil {
		p.Log.Error("cannot read the setting of mixed membership; nothing changes", "error", err)
		return before
	}
	return m.Speakers
}

// peers lists the members that pods of speakers stand for, by address.
func (p *Peers) peers(pods map[string]*corev1.Pod, foreign labels.Selector) []members.Peer {
	list := make([]members.Peer, 0, len(pods))
	for _, pod := range pods {
		if !p.Matches(pod.Labels) && !foreign.Matches(labels.Set(pod.Labels)) {
			continue
		}
		if peer := memberOf(pod); peer != nil {
			list = append(list, *peer)
		}
	}
	slices.SortFunc(list, func(a, b members.Peer) int { return a.Addr.Compare(b.Addr) })
	return list
}

// memberOf gives the member that a speaker's pod stands for, or nil while it cannot be one.
func memberOf(pod *corev1.Pod) *members.Peer {
	ip, err := netip.ParseAddr(pod.Status.PodIP)
	if err != nil || pod.DeletionTimestamp != nil || pod.Status.Phase != corev1.PodRunning {
		return nil
	}
	return &members.Peer{Node: pod.Spec.NodeName, Addr: netip.AddrPortFrom(ip, 0)}
}

// keyRing follows the keys in the Secret. The key that was in use before stays accepted, so
// that speakers which read the Secret a moment later are still understood.
type keyRing struct {
	primary []byte
	others  [][]byte
}

// set takes the data of the Secret and tells whether the keys changed.
func (r *keyRing) set(data map[string][]byte) bool {
	text, ok := data[secretKey]
	if !ok || len(text) == 0 {
		return false
	}
	primary := members.KeyFromSecret(text)
	var others [][]byte
	if previous := data[previousKey]; len(previous) > 0 {
		others = append(others, members.KeyFromSecret(previous))
	}
	if bytes.Equal(primary, r.primary) {
		if len(others) == 0 || slices.ContainsFunc(r.others, func(k []byte) bool { return bytes.Equal(k, others[0]) }) {
			return false
		}
	} else if r.primary != nil {
		others = append(others, r.primary)
	}
	r.primary, r.others = primary, others
	return true
}

package members

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"slices"
	"time"

	"github.com/hashicorp/memberlist"
)

// open opens the port once there is a key, or none is needed, and keeps the keys current.
func (o *owner) open(now time.Time) {
	if o.list != nil {
		if !slices.EqualFunc(o.keys, o.news.keys, bytes.Equal) {
			o.keys = o.news.keys
			if err := installKeys(o.ring, o.keys); err != nil {
				o.log.Error("gossip keys not changed", "err", err)
				return
			}
			o.log.Info("gossip keys changed", "keys", len(o.keys))
		}
		return
	}
	if o.leaving || o.g.cfg.Keyed && o.news.keys == nil || o.bind.next.After(now) {
		return
	}
	if err := o.create(); err != nil {
		if o.bind.err != err.Error() {
			o.log.Warn("gossip port not open, trying again", "err", err)
		}
		o.bind.err = err.Error()
		o.bind.count++
		o.bind.next = now.Add(jitter(backoff(o.bind.count)))
		return
	}
	o.bind.err = ""
	if !o.g.cfg.Keyed {
		o.log.Warn("gossip is not encrypted; set the secret key path")
	}
	o.log.Info("gossip started", "address", o.g.cfg.BindAddr, "port", o.g.cfg.BindPort)
}

func (o *owner) create() error {
	mc := *o.g.ml
	logger := log.New(o.bridge, "", 0)
	if o.g.cfg.Keyed {
		ring, err := memberlist.NewKeyring(o.news.keys, o.news.keys[0])
		if err != nil {
			return fmt.Errorf("members: %w", err)
		}
		o.keys, o.ring, mc.Keyring = o.news.keys, ring, ring
	}
	t, err := listen(mc.BindAddr, mc.BindPort, mc.TCPTimeout, logger)
	if err != nil {
		return fmt.Errorf("members: %w", err)
	}
	box := o.g.box
	mc.Transport, mc.Logger = t, logger
	mc.Delegate, mc.Events, mc.Conflict, mc.Ping = box, box, box, box
	mc.DisableTcpPingsForNode = func(node string) bool {
		box.udpProbeFailed(node)
		return false
	}
	list, err := memberlist.Create(&mc)
	if err != nil {
		return errors.Join(fmt.Errorf("members: %w", err), t.Shutdown())
	}
	o.list, o.transport = list, t
	o.news = box.look()
	o.addrs = addresses(o.news.alive)
	return nil
}

// shutdown ends everything that was started.
func (o *owner) shutdown() {
	if o.list == nil {
		return
	}
	if o.leaving {
		<-o.told // at most leaveTimeout
	}
	alive := o.g.box.look().alive
	delete(alive, o.g.cfg.NodeName)
	stay := time.Duration(0)
	if len(alive) > 0 {
		stay = min(o.g.ml.ProbeInterval*time.Duration(o.list.GetHealthScore()+1), probeWait)
	}
	o.bridge.close()
	if err := o.list.Shutdown(); err != nil {
		o.log.Warn("gossip not shut down cleanly", "err", err)
	}
	ended := make(chan struct{})
	go func() {
		o.tasks.Wait()
		close(ended)
	}()
	for running := true; running; {
		select {
		case <-o.results:
		case <-ended:
			running = false
		}
	}
	time.Sleep(stay) // memberlist offers nothing to wait for
}

package lab

import (
	"testing"

	"github.com/lintel-lb/lintel/lab/internal/topology"
)

func TestOptionsCount(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		want topology.Size
	}{
		{"defaults", Options{}, topology.Size{Nodes: 3, Clients: 1, FarClients: 1}},
		{"none", Options{Nodes: None, Clients: None, FarClients: None, LightNodes: None}, topology.Size{}},
		{"given", Options{Nodes: 5, Clients: 2, FarClients: 3, LightNodes: 4}, topology.Size{Nodes: 5, Clients: 2, FarClients: 3, LightNodes: 4}},
		{"nonsense is the plan's to refuse", Options{Nodes: -2}, topology.Size{Nodes: -2, Clients: 1, FarClients: 1}},
	} {
		if got := c.o.size(); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

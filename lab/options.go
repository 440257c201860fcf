package lab

import (
	"io"

	"github.com/lintel-lb/lintel/lab/internal/topology"
)

// None asks for no host of a kind, where zero means the default number.
const None = -1

// Options say what a lab is to be like.
type Options struct {
	// Name is 1 to 20 of a-z, 0-9 and hyphen; default DefaultName.
	Name string
	// Nodes is the number of nodes, at most 60; default 3.
	Nodes int
	// Clients is the number of hosts outside of the cluster on the nodes'
	// segment, at most 20; default 1.
	Clients int
	// FarClients is the number of hosts behind the router, at most 20; default 1.
	FarClients int
	// LightNodes is the number of nodes without kubelet and containers, at most
	// 800; default 0. See (*Lab).RunOnLight.
	LightNodes int
	// Images are archives that every node has before its kubelet starts.
	Images []string
	// AuditLog is a file that the API server appends to for each request of a
	// service account outside of kube-system: who, what, and whether it was
	// allowed (an audit.k8s.io/v1 Event a line). Empty means none.
	AuditLog string
	// Progress is told what is being done; default nobody.
	Progress io.Writer
	// Keep leaves a lab that does not come up as it is, for a look at its logs.
	Keep bool
}

// DefaultName is the name of a lab that is given none.
const DefaultName = "lab"

func (o Options) withDefaults() Options {
	if o.Name == "" {
		o.Name = DefaultName
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	return o
}

func (o Options) size() topology.Size {
	return topology.Size{
		Nodes: count(o.Nodes, 3), Clients: count(o.Clients, 1),
		FarClients: count(o.FarClients, 1), LightNodes: count(o.LightNodes, 0),
	}
}

func count(asked, byDefault int) int {
	switch asked {
	case 0:
		return byDefault
	case None:
		return 0
	default:
		return asked // what is out of range is refused by the plan
	}
}

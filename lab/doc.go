// Package lab runs a real Kubernetes on one Linux machine: etcd, API server,
// controller manager and scheduler, and on every node containerd, kubelet and
// kube-proxy. Hosts are network namespaces, with cables into a switch, so they
// can be cut off, silenced, crashed and booted like machines.
//
//	l, err := lab.Up(ctx, lab.Options{Name: "demo", Nodes: 3})
//	...
//	defer l.Down(context.WithoutCancel(ctx))
//	out, err := l.Kubectl(ctx, nil, "get", "nodes")
//	err = l.Cut(ctx, "n2")
//	err = l.Heal(ctx, "n2")
//
// A lab lives on when the process that started it ends; Open finds it again.
// Labs of different names share nothing and run side by side. Nothing is bound
// outside of the labs' namespaces. It needs root on Debian, and Go, because
// the cluster's programs are built from source and kept in a cache.
package lab

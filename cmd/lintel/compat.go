package main

import (
	"flag"
	"log/slog"
)

// obsolete are flags of MetalLB's binaries that have nothing to act on here. They are accepted,
// so that argument lists keep working, and said to have no effect.
type obsolete struct {
	reason map[string]string
	set    []string
}

// ignored is the value of an obsolete flag.
type ignored struct {
	name   string
	isBool bool
	of     *obsolete
}

func (i *ignored) String() string   { return "" }
func (i *ignored) IsBoolFlag() bool { return i.isBool }
func (i *ignored) Set(string) error {
	i.of.set = append(i.of.set, i.name)
	return nil
}

// add registers flags that take a value, and switches, with the reason why they have no effect.
func (o *obsolete) add(fs *flag.FlagSet, reason string, valued, switches []string) {
	if o.reason == nil {
		o.reason = map[string]string{}
	}
	register := func(name string, isBool bool) {
		o.reason[name] = reason
		fs.Var(&ignored{name: name, isBool: isBool, of: o}, name, "accepted for compatibility, without effect: "+reason)
	}
	for _, name := range valued {
		register(name, false)
	}
	for _, name := range switches {
		register(name, true)
	}
}

// warn says which of them were given.
func (o *obsolete) warn(log *slog.Logger) {
	for _, name := range o.set {
		log.Warn("a flag has no effect", "flag", "--"+name, "reason", o.reason[name])
	}
}

package endpoint

import (
	"net/netip"
	"time"

	"github.com/lintel-lb/lintel/internal/config"
	"github.com/lintel-lb/lintel/internal/l2"
	"github.com/lintel-lb/lintel/internal/lb"
)

// SpeakerReport is what a speaker says about itself.
type SpeakerReport struct {
	Node    string    `json:"node"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	// Members is the membership as this speaker sees it, and Problems what is wrong with it.
	Members  []string  `json:"members"`
	Joining  bool      `json:"joining,omitempty"`
	Problems []string  `json:"problems,omitempty"`
	Links    []lb.Link `json:"links"`
	Gated    bool      `json:"gated,omitempty"`
	// Settings are the flags that bear on decisions.
	Settings lb.Settings `json:"settings"`
	// Refused are the objects of the configuration that this speaker does not use.
	Refused []config.Verdict `json:"refused,omitempty"`
	// Addresses are those that this speaker announces.
	Addresses []AnnouncedAddress `json:"addresses"`
	// Verdicts are about the Service that was asked for.
	Verdicts []lb.Verdict `json:"verdicts,omitempty"`
}

// AnnouncedAddress is one address that a speaker announces.
type AnnouncedAddress struct {
	Address  netip.Addr      `json:"address"`
	Services []lb.ServiceKey `json:"services"`
	Layer2   l2.AddressState `json:"layer2"`
}

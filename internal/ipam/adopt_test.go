package ipam_test

import (
	"testing"

	"github.com/lintel-lb/lintel/internal/lb"
)

func key(s string) lb.ServiceKey {
	k, err := lb.ParseServiceKey(s)
	if err != nil {
		panic(err)
	}
	return k
}

func TestAdopt(t *testing.T) {
	check(t, []rule{{
		name: "an address without pool is replaced in time",
		script: `pool a addresses=1.0.0.0/30
			config
			service d/a status=9.9.9.9 from=gone
			adopt
			sync d/a`,
		want: "d/a 1.0.0.0 Assigned",
	}, {
		name: "retained addresses in the status of the pool are kept, and the holder's are over",
		script: `pool a addresses=1.0.0.0/30 retention=1h
			config
			service d/a
			sync d/a
			delete d/a
			service d/a status=1.0.0.0 from=a
			adopt
			retained a
			sync d/a`,
		want:  "d/a 1.0.0.0 Assigned",
		lacks: []string{"for d/a until"},
	}, {
		name: "an existing assignment outlasts a reservation for another",
		script: `pool a addresses=1.0.0.0/30 reserve=d/b@1.0.0.0
			config
			service d/a status=1.0.0.0 from=a
			service d/b
			adopt
			sync d/b d/a`,
		want: `d/a 1.0.0.0 Assigned
			d/b 1.0.0.1 Assigned`,
	}})
}

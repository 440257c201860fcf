package links

import "testing"

func TestMACSurvivesText(t *testing.T) {
	for _, m := range []MAC{{}, {2, 0, 0, 0, 0, 9}, Broadcast()} {
		b, err := m.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back MAC
		if err := back.UnmarshalText(b); err != nil || back != m {
			t.Errorf("%s: got %v, %v", b, back, err)
		}
	}
	for _, bad := range []string{"", "02:00", "02:00:00:00:00:00:00:09", "x"} {
		if m, err := ParseMAC(bad); err == nil {
			t.Errorf("%q is read as %s", bad, m)
		}
	}
}

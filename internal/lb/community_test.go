package lb

import "testing"

func TestExtendedCommunities(t *testing.T) {
	for text, want := range map[string]uint64{
		"rt:64500:100":                0x0002fbf400000064,
		"rt:65535:4294967295":         0x0002ffffffffffff,
		"rt:65536:65535":              0x020200010000ffff,
		"rt:192.0.2.1:7":              0x0102c00002010007,
		"soo:1:2":                     0x0003000100000002,
		"extended:0x030b000000000064": 0x030b000000000064,
		// What a name would read back as something else is written in full.
		"extended:0x0202000000010002": 0x0202000000010002,
	} {
		c, err := ParseCommunity(text)
		if err != nil || c != (Community{Extended: want}) {
			t.Errorf("%s is %+v, %v; want %#016x", text, c, err, want)
		}
		if got := (Community{Extended: want}).String(); got != text {
			t.Errorf("%#016x is written %s; want %s", want, got, text)
		}
	}
	for _, text := range []string{
		"rt:", "rt:1", "rt:1:", "rt:1:4294967296", "rt:65536:65536", "rt:4294967296:1", "rt:192.0.2.1:65536", "rt:2001:db8::1:1",
		"rt:-1:1", "soo:1:2:3", "extended:1", "extended:0x", "extended:0x0000000000000000", "extended:0x0002fbf40000006", "extended:0x0002fbf4000000640",
	} {
		if c, err := ParseCommunity(text); err == nil {
			t.Errorf("%s is %+v; want an error", text, c)
		}
	}
}

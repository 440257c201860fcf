// Package labtest is for end-to-end tests against a lab.
//
//	func TestMain(m *testing.M) { labtest.Main(m, labtest.Options{Setup: install}) }
//
//	func TestServed(t *testing.T) {
//		e := labtest.New(t)
//		e.Page("web", 3)
//		e.Apply(manifests, nil)
//		e.Eventually("the page is served", 10*time.Second, func(ctx context.Context) error {
//			_, err := e.Get(ctx, "http://"+e.Pool4.At(0).String()+"/")
//			return err
//		})
//	}
//
// The tests of one package share a lab. The first New brings it up, so tests
// that need none do not wait for one, and Main takes it down. Each test has its
// own Kubernetes namespace and its own ranges of addresses, so tests may be
// parallel, apart from those that break hosts.
//
// These environment variables change what happens to the lab:
//
//	LINTEL_LAB        use the running lab of this name, and leave it running
//	LINTEL_LAB_KEEP   leave the lab running that was brought up, if not empty
//	LINTEL_AUDIT      directory for what service accounts ask of the API server,
//	                  a file for each lab; see package rights
//	LINTEL_ARTIFACTS  directory for what failed tests leave (default: a new one)
package labtest

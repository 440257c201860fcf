// Package page is the web server that the lab runs behind a load balancer.
//
// Every answer says which Pod on which Node gave it and from which address the
// request seemed to come, so a client can tell where the network took it:
//
//	GET /         who answers: HTML for a browser, JSON for everybody else
//	GET /healthz  200 while serving, 503 once a stop has begun
//	GET /slow     as /, after a wait: ?for=DURATION, 1s unless told, at most 1m
//	GET /stream   a line every interval for as long as the client stays:
//	              ?every=DURATION, 100ms unless told, at least 1ms
//
// The headers HeaderPod and HeaderNode are on every answer.
package page

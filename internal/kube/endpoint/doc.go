// Package endpoint is the HTTPS endpoint of a running process: metrics, and what the process
// knows and does. Every caller is authenticated and authorised by the API server
// (TokenReview and SubjectAccessReview, verb get on the path).
package endpoint

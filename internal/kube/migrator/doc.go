// Package migrator carries out the plan of package takeover in a cluster. It goes on from
// where an earlier run ended: what was done is in a Secret, and what is there is looked at.
package migrator

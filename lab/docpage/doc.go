// Package docpage reads the pages of the documentation as a list of steps that can be carried
// out, so that what a page tells its readers to do is tried.
//
// Every fenced block of the language sh is run as one script of bash; it must succeed. What
// else a page needs to be tried stands in HTML comments that begin with "lab:", which readers
// do not see. A comment is about the fenced block that follows it:
//
//	<!-- lab: skip (REASON) -->     the block is not run
//	<!-- lab: on c1 -->             it runs on another host of the lab
//	<!-- lab: retry 30s -->         it is repeated until it succeeds, for at most that long
//	<!-- lab: fails -->             it must not succeed
//	<!-- lab: file pool.yaml -->    it is written to a file
//	<!-- lab: apply -->             it is given to kubectl apply
//	<!-- lab: output -->            it is what the block before has printed
//
// "on", "retry" and "fails" can be joined by semicolons. Two comments stand alone:
//
//	<!-- lab: replace 192.0.2.0/24 10.89.0.128/25 -->
//	<!-- lab: run
//	COMMANDS
//	-->
//
// The first replaces a text by another in all that follows on the page; the second runs
// commands that readers need not see. It takes "on", "retry" and "fails" on its first line.
package docpage

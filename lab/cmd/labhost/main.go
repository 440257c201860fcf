// Command labhost starts programs on a host of the lab: inside its network
// namespace, its control group and, for machines with a disk, a mount namespace
// in which /run, /var/lib and /var/log are the host's own.
//
//	labhost spawn FLAGS -- PROGRAM ARGS   starts a daemon, prints its process id and ends
//	labhost enter FLAGS -- PROGRAM ARGS   becomes the program
//
// Under the name runc-without-controllers it is a runc that asks the kernel for
// no resource limits; see runc.go.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
)

func main() {
	// Namespaces belong to a thread: what is entered here is what a child, or
	// the program that takes this process over, is going to be in.
	runtime.LockOSThread()
	if filepath.Base(os.Args[0]) == runcName {
		fail(runc(os.Args[1:]))
	}
	fail(run(os.Args[1:]))
}

func fail(err error) {
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "labhost:", err)
	os.Exit(125)
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("usage: labhost spawn|enter FLAGS -- PROGRAM ARGS")
	}
	flags := flag.NewFlagSet("labhost", flag.ContinueOnError)
	var host host
	flags.StringVar(&host.netns, "netns", "", "file of the network namespace")
	flags.StringVar(&host.cgroup, "cgroup", "", "directory of the control group")
	flags.StringVar(&host.disk, "disk", "", "directory of what the host has in place of /var/lib and /var/log")
	flags.StringVar(&host.keep, "keep", "", "directory that is to be seen at its own path all the same")
	flags.IntVar(&host.join, "join", 0, "process whose mount namespace to join instead of making one")
	flags.BoolVar(&host.outside, "outside", false, "stay in the caller's mount namespace")
	log := flags.String("log", "", "file that the daemon's output is appended to")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	program := flags.Args()
	if len(program) == 0 {
		return errors.New("no program given")
	}
	// The log is opened first: the mounts may hide it.
	var out *os.File
	if *log != "" {
		var err error
		if out, err = os.OpenFile(*log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644); err != nil {
			return err
		}
	}
	if err := host.enter(); err != nil {
		return err
	}
	switch args[0] {
	case "spawn":
		return spawn(program, out)
	case "enter":
		return become(program)
	default:
		return fmt.Errorf("unknown verb %q", args[0])
	}
}

// spawn starts a daemon that has no terminal and outlives everyone.
func spawn(program []string, log *os.File) error {
	cmd := exec.Command(program[0], program[1:]...)
	if log != nil {
		cmd.Stdout, cmd.Stderr = log, log
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	_, err := fmt.Println(cmd.Process.Pid)
	return err
}

func become(program []string) error {
	path, err := exec.LookPath(program[0])
	if err != nil {
		return err
	}
	return syscall.Exec(path, program, os.Environ())
}

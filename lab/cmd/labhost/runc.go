package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const runcName = "runc-without-controllers"

// runc becomes runc, for kernels whose control group controllers are not to be
// had in version 2 and for labs that may not lower an OOM score. What asks for
// either is taken out of the container's configuration first, and an update of
// limits does nothing, successfully. The container's control group is put
// beside the one that the caller is in, so that it belongs to the host.
func runc(args []string) error {
	command, options := parseRunc(args)
	if command == "update" {
		return nil
	}
	if bundle := options["bundle"]; bundle != "" {
		table, err := os.ReadFile("/proc/self/cgroup")
		if err != nil {
			return err
		}
		own, err := cgroup2(string(table))
		if err != nil {
			return err
		}
		group := filepath.Join(filepath.Dir(own), "pods", filepath.Base(bundle))
		change := func(spec object) error { return withoutLimits(spec, group) }
		if err := edit(filepath.Join(bundle, "config.json"), change); err != nil {
			return err
		}
	}
	if process := options["process"]; process != "" {
		if err := edit(process, withoutScore); err != nil {
			return err
		}
	}
	return become(append([]string{"runc"}, args...))
}

// parseRunc finds runc's command and those options that name a file.
func parseRunc(args []string) (command string, options map[string]string) {
	options = map[string]string{}
	short := map[string]string{"b": "bundle", "p": "process"}
	takesValue := map[string]bool{
		"root": true, "log": true, "log-format": true, "criu": true, "rootless": true,
		"bundle": true, "process": true, "console-socket": true, "pid-file": true, "preserve-fds": true,
	}
	for i := 0; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "-") {
			if command == "" {
				command = args[i]
			}
			continue
		}
		key, value, inline := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		if long, ok := short[key]; ok {
			key = long
		}
		if !inline && takesValue[key] && i+1 < len(args) {
			i++
			value = args[i]
		}
		options[key] = value
	}
	return command, options
}

type object = map[string]json.RawMessage

// edit rewrites a JSON file; parts that change does not touch stay byte for byte.
func edit(path string, change func(object) error) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var top object
	if err := json.Unmarshal(data, &top); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := change(top); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if data, err = json.Marshal(top); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, data, 0o644)
}

func withoutLimits(spec object, group string) error {
	return errors.Join(
		within(spec, "linux", func(o object) error {
			delete(o, "resources")
			path, err := json.Marshal(group)
			o["cgroupsPath"] = path
			return err
		}),
		within(spec, "process", withoutScore))
}

// cgroup2 returns the version 2 group out of /proc/self/cgroup.
func cgroup2(table string) (string, error) {
	for line := range strings.Lines(table) {
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			return strings.TrimSuffix(path, "\n"), nil
		}
	}
	return "", errors.New("this process is in no control group of version 2")
}

func withoutScore(process object) error {
	delete(process, "oomScoreAdj")
	return nil
}

func within(parent object, key string, change func(object) error) error {
	raw, ok := parent[key]
	if !ok || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	var child object
	if err := json.Unmarshal(raw, &child); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if err := change(child); err != nil {
		return err
	}
	var err error
	parent[key], err = json.Marshal(child)
	return err
}

// Command release builds the product's container image without a container
// daemon, and prints how large it is.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/lintel-lb/lintel/lab/release"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	o := release.Options{Progress: os.Stdout}
	fs := flag.NewFlagSet("release", flag.ExitOnError)
	fs.StringVar(&o.Source, "source", ".", "`directory` of the product's module")
	fs.StringVar(&o.Ref, "ref", "lintel:dev", "image `reference`")
	fs.StringVar(&o.Version, "version", "dev", "`version` that the program tells")
	archs := fs.String("arch", "amd64,arm64", "comma-separated `list` of architectures")
	archive := fs.String("archive", "", "archive `file` to write")
	dir := fs.String("dir", "", "`directory` for the image layout; replaced")
	sboms := fs.String("sbom", "", "`directory` for the bills of materials")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *archive == "" && *dir == "" {
		return fmt.Errorf("neither -archive nor -dir is given")
	}
	o.Architectures = strings.Split(*archs, ",")
	var err error
	if o.Revision, o.Created, err = commit(ctx, o.Source); err != nil {
		return err
	}
	built, err := release.Build(ctx, o)
	if err != nil {
		return err
	}
	if *archive != "" {
		if err := built.WriteArchive(*archive); err != nil {
			return err
		}
	}
	if *dir != "" {
		if err := os.RemoveAll(*dir); err != nil {
			return err
		}
		if err := built.WriteDir(*dir); err != nil {
			return err
		}
	}
	if *sboms != "" {
		for arch, content := range built.SBOMs {
			if err := os.WriteFile(filepath.Join(*sboms, release.SBOMName("lintel", arch)), content, 0o644); err != nil {
				return err
			}
		}
	}
	return show(o.Ref, built)
}

// commit tells the revision of a source and when it was made. A tree with changes is no
// revision. SOURCE_DATE_EPOCH goes first, as reproducible-builds.org says.
func commit(ctx context.Context, dir string) (revision string, created time.Time, err error) {
	git := func(args ...string) (string, bool) {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...).Output()
		return strings.TrimSpace(string(out)), err == nil
	}
	seconds := "0"
	if changes, ok := git("status", "--porcelain", "--untracked-files=no"); ok && changes == "" {
		revision, _ = git("rev-parse", "HEAD")
		if s, ok := git("log", "-1", "--format=%ct"); ok {
			seconds = s
		}
	}
	if s := os.Getenv("SOURCE_DATE_EPOCH"); s != "" {
		seconds = s
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH=%q is not a number of seconds", seconds)
	}
	return revision, time.Unix(n, 0), nil
}

func show(ref string, built release.Image) error {
	const mib = 1 << 20
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "%s\t%s\n", ref, built.Digest)
	fmt.Fprintf(w, "platform\tcompressed\tuncompressed\tdigest\n")
	for _, s := range built.Sizes {
		fmt.Fprintf(w, "linux/%s\t%.1f MiB\t%.1f MiB\t%s\n", s.Architecture, float64(s.Compressed)/mib, float64(s.Uncompressed)/mib, s.Digest)
	}
	return w.Flush()
}

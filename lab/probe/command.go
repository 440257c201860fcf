package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// progressEvery is the time between two updates of the progress line.
const progressEvery = 200 * time.Millisecond

// FindHost returns the network namespace, as in ip-netns(8), of a host.
type FindHost func(ctx context.Context, host string) (string, error)

// Command returns the command `probe URL`. find resolves --from.
func Command(find FindHost) *cobra.Command {
	var (
		opts   Options
		from   string
		during time.Duration
		format string
	)
	cmd := &cobra.Command{
		Use:   "probe URL",
		Short: "Measure how long a URL cannot be reached, with a new connection every 10ms",
		Long: `Probe opens a new connection to URL every interval, whatever became of the
earlier ones, until it is interrupted or the given time is over. It then prints
every gap: how long, who answered before and after, and whether nobody answered
for the address or only the server behind it failed.

The beginning is a control reading: break nothing in it. Progress goes to the
standard error of a terminal, the report to the standard output.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "text" && format != "json" {
				return fmt.Errorf("probe: --output %q: want text or json", format)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			opts.URL = args[0]
			if from != "" {
				namespace, err := find(ctx, from)
				if err != nil {
					return fmt.Errorf("probe: --from %s: %w", from, err)
				}
				opts.Namespace = namespace
			}
			if during > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, during)
				defer cancel()
			}
			report, err := watch(ctx, opts, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return print(cmd.OutOrStdout(), report, format)
		},
	}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "host of the lab to connect from (default: the machine itself)")
	f.DurationVar(&opts.Interval, "interval", DefaultInterval, "time between two connections, at least 1ms")
	f.DurationVar(&opts.Timeout, "timeout", DefaultTimeout, "how long a connection and its answer may take")
	f.DurationVar(&opts.Control, "control", DefaultControl, "length of the control reading; negative for none")
	f.IntVar(&opts.Hold, "hold", 0, "number of long-lived connections to keep open besides")
	f.DurationVar(&during, "for", 0, "stop after this time (default: when interrupted)")
	f.StringVarP(&format, "output", "o", "text", "format of the report: text or json")
	return cmd
}

// watch probes until ctx ends and shows the progress if w is a terminal.
func watch(ctx context.Context, opts Options, w io.Writer) (Report, error) {
	p, err := Start(ctx, opts)
	if err != nil {
		return Report{}, err
	}
	defer p.Stop()
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		<-ctx.Done()
		return p.Stop(), nil
	}
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			fmt.Fprint(w, "\r\x1b[K", p.Progress())
		case <-ctx.Done():
			fmt.Fprint(w, "\r\x1b[K")
			return p.Stop(), nil
		}
	}
}

func print(w io.Writer, r Report, format string) error {
	if format == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	_, err := io.WriteString(w, r.String())
	return err
}

// String returns one line for people.
func (p Progress) String() string {
	phase := ""
	if p.Control {
		phase = "control reading: "
	}
	state := "answered by " + orUnnamed(p.Backend)
	if p.Reason != "" {
		state = "FAILING: " + string(p.Reason)
	}
	return fmt.Sprintf("%s%d ok, %d failed; %s", phase, p.OK, p.Failed, state)
}

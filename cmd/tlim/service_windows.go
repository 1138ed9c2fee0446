package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
	"golang.org/x/sys/windows/svc/mgr"

	"tlim/cmd/tlim/config"
	"tlim/store/private"
)

// serviceName is that of the service, and of what it writes into the event log.
const serviceName = "tlim"

// virtualAccount is one of Windows' own for this service alone: it has no password and no rights but those that it is given.
const virtualAccount = `NT SERVICE\` + serviceName

// asService does the work of a command. When the service manager has started this process, its orders come as signals, and
// what goes to stderr goes to the event log.
func asService(notified chan<- os.Signal, stderr io.Writer, work func(stderr io.Writer) error) error {
	is, err := svc.IsWindowsService()
	if err != nil {
		return fmt.Errorf("was this process started as a service? %w", err)
	}
	if !is {
		return work(stderr)
	}
	log, err := eventlog.Open(serviceName)
	if err != nil {
		return fmt.Errorf("event log: %w", err)
	}
	defer log.Close()
	s := &service{notified: notified, log: eventLog{log}, work: work}
	if err := svc.Run(serviceName, s); err != nil {
		return fmt.Errorf("service: %w", err)
	}
	return s.err
}

// service answers the service manager.
type service struct {
	notified chan<- os.Signal
	log      eventLog
	work     func(stderr io.Writer) error
	err      error // of work
}

// stopHint is for how long the service manager waits for the next word on a stop, which comes each half of it.
const stopHint = 10 * time.Second

// Execute is called once. Stop and shutdown are SIGTERM, a change of parameters is SIGHUP.
func (s *service) Execute(_ []string, orders <-chan svc.ChangeRequest, states chan<- svc.Status) (specific bool, exitCode uint32) {
	const accepts = svc.AcceptStop | svc.AcceptShutdown | svc.AcceptParamChange
	states <- svc.Status{State: svc.StartPending}
	done := make(chan error, 1) // the one result
	go func() { done <- s.work(s.log) }()
	states <- svc.Status{State: svc.Running, Accepts: accepts}
	tell := func(sig os.Signal) {
		select {
		case s.notified <- sig:
		default: // enough of them wait
		}
	}
	stopping := (<-chan time.Time)(nil)
	beat := uint32(0)
	for {
		select {
		case s.err = <-done:
			return s.ended()
		case <-stopping:
			beat++
			states <- svc.Status{State: svc.StopPending, CheckPoint: beat, WaitHint: uint32(stopHint.Milliseconds())}
		case order := <-orders:
			switch order.Cmd {
			case svc.Interrogate:
				states <- order.CurrentStatus
			case svc.ParamChange:
				tell(syscall.SIGHUP)
			case svc.Stop, svc.Shutdown:
				if stopping == nil {
					ticker := time.NewTicker(stopHint / 2)
					defer ticker.Stop()
					stopping = ticker.C
				}
				beat++
				states <- svc.Status{State: svc.StopPending, CheckPoint: beat, WaitHint: uint32(stopHint.Milliseconds())}
				tell(syscall.SIGTERM)
			}
		}
	}
}

// ended says how the service manager takes the end. A service that says that it has stopped is not started again, which is right
// after a wrong configuration and after another process has taken the database over. One that is gone without a word is.
func (s *service) ended() (specific bool, exitCode uint32) {
	if s.err == nil {
		return false, 0
	}
	_ = s.log.Error(1, "tlim: "+s.err.Error()) // there is nobody else to tell
	var problems config.Problems
	var exit exitError
	switch {
	case errors.As(s.err, &problems):
		return true, exitUsage
	case errors.As(s.err, &exit):
		return true, uint32(exit.code)
	}
	os.Exit(exitFailed)
	return true, exitFailed
}

// eventLog writes lines of the log into the event log.
type eventLog struct{ *eventlog.Log }

func (e eventLog) Write(line []byte) (int, error) {
	text := strings.TrimRight(string(line), "\r\n")
	report := e.Info
	switch {
	case strings.Contains(text, "level=ERROR"), strings.Contains(text, `"level":"ERROR"`):
		report = e.Error
	case strings.Contains(text, "level=WARN"), strings.Contains(text, `"level":"WARN"`):
		report = e.Warning
	}
	if err := report(1, text); err != nil {
		return 0, err
	}
	return len(line), nil
}

func platformCommands() []*cobra.Command {
	command := &cobra.Command{
		Use:   "service",
		Short: "Make tlim a service of Windows, or no more",
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	account := virtualAccount
	install := &cobra.Command{
		Use:   "install",
		Short: "Make this program a service that runs `tlim serve` from the next start of Windows on; sc start tlim starts it",
		Long: "Make this program a service that runs `tlim serve` with the configuration of --config from the next start of Windows on, and again a second after it has failed. " +
			"The folder of the configuration is for administrators and the service alone then. The log goes to the event log of Windows.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, err := cmd.Flags().GetString("config")
			if err != nil {
				return err
			}
			return installService(cmd.OutOrStdout(), file, account)
		},
	}
	install.Flags().StringVar(&account, "user", account, "account that it runs as: a virtual one, LocalSystem or NT AUTHORITY\\LocalService")
	command.AddCommand(install, &cobra.Command{
		Use:   "remove",
		Short: "Stop the service and remove it; configuration and data stay",
		RunE:  func(cmd *cobra.Command, _ []string) error { return removeService(cmd.OutOrStdout()) },
	})
	return []*cobra.Command{command}
}

func installService(out io.Writer, file, account string) (err error) {
	if file == "" {
		file = config.SystemFile()
	}
	if file, err = filepath.Abs(file); err != nil {
		return err
	}
	if _, err := os.Stat(file); err != nil {
		return exitError{fmt.Errorf("the service reads %s, which has to be there: %w", file, err), exitUsage}
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	manager, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("service manager (this takes an administrator): %w", err)
	}
	defer func() { err = errors.Join(err, manager.Disconnect()) }()
	made, err := manager.CreateService(serviceName, program, mgr.Config{StartType: mgr.StartAutomatic, ServiceStartName: account, DisplayName: "tlim",
		Description: "Chat component beside an XMPP server", SidType: windows.SERVICE_SID_TYPE_UNRESTRICTED}, "serve", "--config", file)
	if err != nil {
		return fmt.Errorf("make the service: %w", err)
	}
	defer func() { err = errors.Join(err, made.Close()) }()
	const day = 24 * 60 * 60 // seconds, after which failures are forgotten
	if err := made.SetRecoveryActions([]mgr.RecoveryAction{{Type: mgr.ServiceRestart, Delay: time.Second}}, day); err != nil {
		return fmt.Errorf("have it started again: %w", err)
	}
	if err := eventlog.InstallAsEventCreate(serviceName, eventlog.Info|eventlog.Warning|eventlog.Error); err != nil && !strings.Contains(err.Error(), "exists") {
		return fmt.Errorf("event log: %w", err)
	}
	var own []string
	if account == virtualAccount {
		sid, _, _, err := windows.LookupSID("", account)
		if err != nil {
			return fmt.Errorf("the account %s: %w", account, err)
		}
		own = append(own, sid.String())
	}
	folder := filepath.Dir(file)
	if err := private.RestrictTo(folder, own...); err != nil {
		return err
	}
	fmt.Fprintf(out, "the service tlim is made: it runs as %s, with %s; %s is for administrators and the service alone. Start it: sc start tlim\n", account, file, folder)
	return nil
}

func removeService(out io.Writer) (err error) {
	manager, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("service manager (this takes an administrator): %w", err)
	}
	defer func() { err = errors.Join(err, manager.Disconnect()) }()
	made, err := manager.OpenService(serviceName)
	if err != nil {
		return fmt.Errorf("the service tlim: %w", err)
	}
	defer func() { err = errors.Join(err, made.Close()) }()
	if _, err := made.Control(svc.Stop); err != nil && !errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
		return fmt.Errorf("stop it: %w", err)
	}
	if err := made.Delete(); err != nil {
		return fmt.Errorf("remove it: %w", err)
	}
	if err := eventlog.Remove(serviceName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("event log: %w", err)
	}
	fmt.Fprintln(out, "the service tlim is removed; configuration and data stay")
	return nil
}

package loop

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a loop until the test ends.
func start(t *testing.T, log *slog.Logger) *Loop {
	t.Helper()
	l := New(log)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { l.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended; l.Wait() })
	return l
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func TestPostKeepsOrder(t *testing.T) {
	l := start(t, quiet())
	const n = 5000
	var got []int
	done := make(chan struct{})
	for i := range n {
		l.Post("test", func() {
			got = append(got, i)
			if len(got) == n {
				close(done)
			}
		})
	}
	<-done
	if !slices.IsSorted(got) {
		t.Fatal("functions ran out of order")
	}
}

func TestPostFromManyGoroutinesAndItself(t *testing.T) {
	l := start(t, quiet())
	count, all := 0, make(chan struct{})
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			for range 100 {
				l.Post("outer", func() {
					l.Post("inner", func() {
						if count++; count == 800 {
							close(all)
						}
					})
				})
			}
		})
	}
	senders.Wait()
	<-all
}

func TestTurnEndRunsOncePerBatch(t *testing.T) {
	l := New(quiet())
	runs, changes := 0, 0
	l.AtTurnEnd(func() {
		runs++
		if changes != 3 {
			t.Errorf("turn ended after %d changes, want 3", changes)
		}
		l.Quit()
	})
	for range 3 {
		l.Post("change", func() { changes++ })
	}
	l.Run(context.Background())
	if runs != 1 {
		t.Fatalf("turn-end hook ran %d times, want 1", runs)
	}
}

func TestTimersFireInOrderAndStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := start(t, quiet())
		var got []string
		l.Post("set", func() {
			add := func(name string, d time.Duration) *Timer {
				return l.After(name, d, func() { got = append(got, name) })
			}
			add("c", 3*time.Second)
			add("a", time.Second)
			stopped := add("never", 2*time.Second)
			add("b1", 2*time.Second)
			add("b2", 2*time.Second)
			stopped.Stop()
			stopped.Stop()
		})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if want := []string{"a", "b1", "b2", "c"}; !slices.Equal(got, want) {
			t.Fatalf("timers fired as %v, want %v", got, want)
		}
	})
}

func TestResumedBringsTimersForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := start(t, quiet())
		fired := false
		l.Post("set", func() {
			l.After("lease", time.Hour, func() { fired = true })
		})
		time.Sleep(time.Minute)
		l.Post("resume", func() { l.Resumed(59 * time.Minute) })
		synctest.Wait()
		if !fired {
			t.Fatal("an hour passed, most of it asleep, and the timer did not fire")
		}
	})
}

func TestCancelledWorkNeverReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := start(t, quiet())
		ended := errors.New("unset")
		l.Post("begin", func() {
			op := Go(l, "work", func(ctx context.Context) (int, error) {
				<-ctx.Done()
				ended = ctx.Err()
				return 1, nil
			}, func(int, error) { t.Error("done ran after Cancel") })
			l.After("cancel", time.Second, op.Cancel)
		})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !errors.Is(ended, context.Canceled) {
			t.Fatalf("work ended with %v, want context.Canceled", ended)
		}
	})
}

// A result already posted when its operation is cancelled must not arrive.
func TestCancelBeatsAPostedResult(t *testing.T) {
	l := New(quiet())
	returned := make(chan struct{})
	var op *Op
	l.Post("begin", func() {
		op = Go(l, "work", func(context.Context) (int, error) {
			close(returned)
			return 1, nil
		}, func(int, error) { t.Error("done ran after Cancel") })
		<-returned
		l.work.Wait()
		op.Cancel()
		l.Post("later", func() { l.Quit() })
	})
	l.Run(context.Background())
}

func TestSlowFunctionIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := make(chan string, 1)
		l := start(t, slog.New(recorder(logged)))
		l.Post("dawdle", func() { time.Sleep(2 * SlowTurn) })
		if by := <-logged; by != "dawdle" {
			t.Fatalf("blamed %q, want dawdle", by)
		}
	})
}

type recorder chan string

func (r recorder) Enabled(context.Context, slog.Level) bool { return true }
func (r recorder) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r recorder) WithGroup(string) slog.Handler            { return r }
func (r recorder) Handle(_ context.Context, rec slog.Record) error {
	rec.Attrs(func(a slog.Attr) bool {
		if a.Key == "by" {
			r <- a.Value.String()
		}
		return true
	})
	return nil
}

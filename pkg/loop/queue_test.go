package loop

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// sleep is work of a second that notes when it begins.
func sleep(running *[]int, name int) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		*running = append(*running, name)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
		return name, nil
	}
}

func TestQueueBeginsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := start(t, quiet())
		var began, ended []int
		l.Post("test", func() {
			q := NewQueue(l, 1)
			for i := range 4 {
				GoIn(q, "work", sleep(&began, i), func(i int, _ error) { ended = append(ended, i) })
			}
		})
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if want := []int{0, 1, 2, 3}; !slices.Equal(began, want) || !slices.Equal(ended, want) {
			t.Errorf("began %v and ended %v, want %v", began, ended, want)
		}
	})
}

func TestQueueFillsItsPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := start(t, quiet())
		began, ended := time.Now(), 0
		l.Post("test", func() {
			q := NewQueue(l, 3)
			for range 9 {
				GoIn(q, "work", func(context.Context) (int, error) {
					time.Sleep(time.Second)
					return 0, nil
				}, func(int, error) {
					ended++
					if took := time.Since(began); took != time.Duration((ended+2)/3)*time.Second {
						t.Errorf("piece %d ended after %v", ended, took)
					}
				})
			}
		})
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if ended != 9 {
			t.Errorf("%d pieces ended, want 9", ended)
		}
	})
}

// What is cancelled never reports; while it waits it does not even begin, and
// once it has begun its place is free when it returns.
func TestQueueCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := start(t, quiet())
		var began, ended []int
		l.Post("test", func() {
			q := NewQueue(l, 1)
			var ops []*Op
			for i := range 4 {
				ops = append(ops, GoIn(q, "work", sleep(&began, i), func(i int, _ error) { ended = append(ended, i) }))
			}
			l.After("cancel", time.Second/2, func() {
				ops[0].Cancel()
				ops[2].Cancel()
				ops[2].Cancel()
			})
		})
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if want := []int{0, 1, 3}; !slices.Equal(began, want) {
			t.Errorf("%v have begun, want %v", began, want)
		}
		if want := []int{1, 3}; !slices.Equal(ended, want) {
			t.Errorf("%v have reported, want %v", ended, want)
		}
	})
}

// What waits when the loop ends never begins.
func TestQueueEndsWithTheLoop(t *testing.T) {
	l := New(quiet())
	var began []int
	l.Post("test", func() {
		q := NewQueue(l, 1)
		for i := range 3 {
			GoIn(q, "work", sleep(&began, i), func(int, error) { t.Error("reported to a loop that has ended") })
		}
		l.Quit()
	})
	l.Run(context.Background())
	l.Wait()
	if len(began) > 1 {
		t.Errorf("%v have begun", began)
	}
}

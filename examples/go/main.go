// Runs one job in a warm container: acquire, tool metadata from the cache, the job, usage, release. See README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

type settings struct {
	brokers, prefix, job, command, philosophy, agent, agents string
	timeout, grace                                           time.Duration
	attempts                                                 int
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func number(name string, otherwise int) int {
	value, err := strconv.Atoi(setting(name, strconv.Itoa(otherwise)))
	if err != nil {
		fmt.Fprintf(os.Stderr, "runner: %s must be a whole number, not %q\n", name, os.Getenv(name))
		os.Exit(2)
	}
	return value
}

func readSettings() settings {
	return settings{
		brokers: setting("KAFKA", "localhost:9092"), prefix: setting("TOPICS_PREFIX", ""), job: setting("JOB_ID", newID()),
		command:    setting("COMMAND", "echo hello from $WARMPOOL_CONTAINER_ID"),
		philosophy: setting("PHILOSOPHY", "react"), agent: setting("AGENT_ID", "agent-7"), agents: setting("AGENTS", "/tmp/agents"),
		timeout:  time.Duration(number("TIMEOUT_MS", 30000)) * time.Millisecond,
		grace:    time.Duration(number("GRACE_MS", 10000)) * time.Millisecond,
		attempts: number("ATTEMPTS", 3),
	}
}

// toolMetadata comes from the shared cache; whoever misses it puts it there.
func toolMetadata(ctx context.Context, s settings, bus *bus) error {
	found, err := bus.cache(ctx, Cache{Op: "get", Namespace: text("tool"), Key: text("shell")}, s.grace)
	if err != nil {
		return err
	}
	if found.Hit {
		fmt.Println("tool metadata: hit")
		return nil
	}
	fmt.Println("tool metadata: miss")
	metadata := `{"name": "shell", "arguments": ["command"]}`
	_, err = bus.cache(ctx, Cache{Op: "set", Namespace: text("tool"), Key: text("shell"), Value: &metadata}, s.grace)
	return err
}

// work is what happens while the lease is held; ctx ends when the lease is lost.
func work(ctx context.Context, s settings, bus *bus, lease ContainerAssignment) (int, error) {
	if err := toolMetadata(ctx, s, bus); err != nil {
		return 0, err
	}
	began := time.Now()
	result, err := runIn(ctx, s, lease)
	if err != nil || result.Exit != 0 { // perhaps its container has ended: then the notice comes within moments
		fmt.Println("interrupted:", result.Exit, err)
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(s.grace):
		}
	}
	if err != nil {
		return 0, err
	}
	fmt.Println("output:", strings.TrimSpace(result.Output))
	seconds := time.Since(began).Seconds()
	// The record's id makes a job that is run again after a crash count once.
	return result.Exit, bus.publish(ctx, "usage-record", s.agent, UsageRecord{RecordID: &lease.RequestID, AgentID: s.agent, Philosophy: s.philosophy,
		ExecutionTime: &seconds, CPUPercent: result.CPUPercent, MemoryUsageMB: result.MemoryMB})
}

func attempt(ctx context.Context, s settings, bus *bus, id string) (int, error) {
	request, err := bus.acquire(ctx, s, id)
	if err != nil {
		return 0, err
	}
	lease := request.answer
	start := "cold"
	if lease.WarmStart {
		start = "warm"
	}
	fmt.Println("assigned:", *lease.ContainerID, start, "epoch", lease.LeaseEpoch)
	held, end := context.WithCancel(ctx)
	defer end()
	go request.watch(held, end)
	exit, err := work(held, s, bus, lease)
	if reason := request.lost(); reason != "" {
		return 0, lostError{reason}
	}
	released := bus.publish(ctx, "container-release", id, ContainerRelease{RequestID: id, Philosophy: s.philosophy})
	if err == nil {
		err = released
	}
	return exit, err
}

// run makes the attempts. Another attempt is another request. Its id follows from the job's, so a restarted runner goes on with the same one.
func run(ctx context.Context, s settings) (int, error) {
	bus, err := open(ctx, s)
	if err != nil {
		return 0, err
	}
	defer bus.client.Close()
	for number := 1; ; number++ {
		id := s.job
		if number > 1 {
			id = fmt.Sprintf("%s.%d", s.job, number)
		}
		exit, err := attempt(ctx, s, bus, id)
		var rejected rejectedError
		var lost lostError
		if errors.As(err, &rejected) {
			fmt.Println("rejected:", rejected.reason)
			if rejected.retryAfter == 0 || number >= s.attempts {
				return 0, err
			}
			time.Sleep(rejected.retryAfter)
		} else if errors.As(err, &lost) {
			fmt.Println("lost:", lost.reason)
			if number >= s.attempts {
				return 0, err
			}
		} else {
			return exit, err
		}
	}
}

func exitOf(err error) int {
	switch err.(type) {
	case rejectedError:
		return 3
	case noAnswerError:
		return 4
	case lostError:
		return 5
	case kafkaError:
		return 6
	}
	return 1
}

func main() {
	exit, err := run(context.Background(), readSettings())
	if err != nil {
		fmt.Fprintln(os.Stderr, "runner:", err)
		exit = exitOf(err)
	}
	os.Exit(exit)
}

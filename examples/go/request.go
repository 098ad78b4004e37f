// One request for a container, from its acquire to its one answer, and the notice that its lease was lost.
package main

import (
	"context"
	"sync"
	"time"
)

type request struct {
	answer  ContainerAssignment
	answers chan ContainerAssignment
	lock    sync.Mutex
	reason  string // why the lease was lost
}

// acquire publishes an acquire and waits for its answer; a request that nobody answers is cancelled.
func (b *bus) acquire(ctx context.Context, s settings, id string) (*request, error) {
	r := &request{answers: make(chan ContainerAssignment, 16)}
	b.lock.Lock()
	earlier := b.latest[id]
	b.answers[id] = r.answers
	b.lock.Unlock()
	if earlier.Status == "rejected" || earlier.Status == "lost" { // warmpool does not answer a request again that has ended
		return r, r.outcome(earlier)
	}
	timeout := s.timeout.Milliseconds()
	event := ContainerAcquire{RequestID: id, AgentID: s.agent, Philosophy: s.philosophy, TimeoutMS: &timeout}
	if err := b.publish(ctx, "container-acquire", id, event); err != nil {
		return r, err
	}
	select {
	case answer := <-r.answers:
		return r, r.outcome(answer)
	case <-time.After(s.timeout + s.grace):
		err := b.publish(ctx, "container-release", id, ContainerRelease{RequestID: id, Philosophy: s.philosophy})
		if err != nil {
			return r, err
		}
		return r, noAnswerError{"request " + id}
	}
}

func (r *request) outcome(answer ContainerAssignment) error {
	r.answer = answer
	reason := ""
	if answer.Reason != nil {
		reason = *answer.Reason
	}
	switch answer.Status {
	case "assigned":
		return nil
	case "lost":
		return lostError{reason}
	}
	var retryAfter time.Duration
	if answer.RetryAfterMS != nil {
		retryAfter = time.Duration(*answer.RetryAfterMS) * time.Millisecond
	}
	return rejectedError{reason, retryAfter}
}

// watch ends the work when the lease is lost.
func (r *request) watch(ctx context.Context, end func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case answer := <-r.answers:
			if answer.Status == "lost" {
				r.lock.Lock()
				r.reason = *answer.Reason
				r.lock.Unlock()
				end()
				return
			}
		}
	}
}

// lost returns why the lease was lost, empty while it is held.
func (r *request) lost() string {
	r.lock.Lock()
	defer r.lock.Unlock()
	return r.reason
}

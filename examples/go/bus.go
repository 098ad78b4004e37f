// The topics: events are published, and answers read without a consumer group, since every runner has to see its own.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	lookBack  = 10 * time.Minute // of answers read at the start: as long as warmpool remembers a request that ended
	startTime = 30 * time.Second
)

type rejectedError struct {
	reason     string
	retryAfter time.Duration
}

type noAnswerError struct{ what string }
type lostError struct{ reason string }
type kafkaError struct{ err error }

func (e rejectedError) Error() string { return "rejected: " + e.reason }
func (e noAnswerError) Error() string { return e.what + " was not answered: does a worker run?" }
func (e lostError) Error() string     { return "the container was lost: " + e.reason }
func (e kafkaError) Error() string    { return "Kafka: " + e.err.Error() }

func newID() string {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		panic(err)
	}
	return fmt.Sprintf("%x", id)
}

func text(value string) *string { return &value }

type bus struct {
	client   *kgo.Client
	prefix   string
	job      string
	lock     sync.Mutex
	latest   map[string]ContainerAssignment // of this job's requests
	answers  map[string]chan ContainerAssignment
	results  map[string]chan CacheResult
	behind   map[string]map[int32]int64 // partitions that are not read up to where they ended at the start
	caughtUp chan struct{}
}

// open returns when the answers of the time before are read: they may be to this job's requests.
func open(ctx context.Context, s settings) (*bus, error) {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	b := &bus{prefix: s.prefix, job: s.job, latest: map[string]ContainerAssignment{}, answers: map[string]chan ContainerAssignment{},
		results: map[string]chan CacheResult{}, behind: map[string]map[int32]int64{}, caughtUp: make(chan struct{})}
	from, err := b.starts(ctx, s)
	for kerr.IsRetriable(err) && ctx.Err() == nil { // a topic that was just made has no leader for a moment
		time.Sleep(100 * time.Millisecond)
		from, err = b.starts(ctx, s)
	}
	if err != nil {
		return nil, kafkaError{err}
	}
	b.client, err = kgo.NewClient(kgo.SeedBrokers(strings.Split(s.brokers, ",")...), kgo.ConsumePartitions(from), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		return nil, kafkaError{err}
	}
	go b.read()
	select {
	case <-b.caughtUp:
		return b, nil
	case <-ctx.Done():
		b.client.Close()
		return nil, kafkaError{fmt.Errorf("the answers of the last %v could not be read within %v", lookBack, startTime)}
	}
}

// starts returns where each partition is read from, and notes where it ends.
func (b *bus) starts(ctx context.Context, s settings) (map[string]map[int32]kgo.Offset, error) {
	asking, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(s.brokers, ",")...))
	if err != nil {
		return nil, err
	}
	defer asking.Close()
	topics := []string{s.prefix + "container-assignment", s.prefix + "cache-result"}
	admin := kadm.NewClient(asking)
	ends, err := admin.ListEndOffsets(ctx, topics...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, err
	}
	since, err := admin.ListOffsetsAfterMilli(ctx, time.Now().Add(-lookBack).UnixMilli(), topics...)
	if err == nil {
		err = since.Error()
	}
	if err != nil {
		return nil, err
	}
	from := map[string]map[int32]kgo.Offset{}
	since.Each(func(start kadm.ListedOffset) {
		if from[start.Topic] == nil {
			from[start.Topic], b.behind[start.Topic] = map[int32]kgo.Offset{}, map[int32]int64{}
		}
		from[start.Topic][start.Partition] = kgo.NewOffset().At(start.Offset)
		if end, _ := ends.Lookup(start.Topic, start.Partition); start.Offset < end.Offset {
			b.behind[start.Topic][start.Partition] = end.Offset
		}
	})
	b.noteCaughtUp()
	return from, nil
}

// noteCaughtUp closes caughtUp once, when nothing is behind.
func (b *bus) noteCaughtUp() {
	if b.behind == nil {
		return
	}
	for _, partitions := range b.behind {
		if len(partitions) > 0 {
			return
		}
	}
	b.behind = nil
	close(b.caughtUp)
}

func (b *bus) read() {
	for {
		fetches := b.client.PollFetches(context.Background())
		if fetches.IsClientClosed() {
			return
		}
		fetches.EachError(func(topic string, partition int32, err error) {
			fmt.Fprintf(os.Stderr, "runner: reading %s [%d]: %v\n", topic, partition, err)
		})
		fetches.EachRecord(func(record *kgo.Record) {
			b.take(record)
			if end, ok := b.behind[record.Topic][record.Partition]; ok && record.Offset+1 >= end {
				delete(b.behind[record.Topic], record.Partition)
			}
		})
		b.noteCaughtUp()
	}
}

// take decodes what may be ours: an answer has the key of its event.
func (b *bus) take(record *kgo.Record) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if strings.HasSuffix(record.Topic, "container-assignment") {
		var answer ContainerAssignment
		if !strings.HasPrefix(string(record.Key), b.job) || !decode(record, &answer) {
			return
		}
		b.latest[answer.RequestID] = answer
		if waiting := b.answers[answer.RequestID]; waiting != nil {
			select {
			case waiting <- answer:
			default: // a repeated answer
			}
		}
		return
	}
	var result CacheResult
	if len(b.results) > 0 && decode(record, &result) && b.results[result.EventID] != nil {
		b.results[result.EventID] <- result
		delete(b.results, result.EventID)
	}
}

func decode(record *kgo.Record, into interface{}) bool {
	err := json.Unmarshal(record.Value, into)
	if err != nil {
		fmt.Fprintf(os.Stderr, "runner: an answer on %s is not JSON (the worker needs wire.write = json): %v\n", record.Topic, err)
	}
	return err == nil
}

func (b *bus) publish(ctx context.Context, topic, key string, event interface{}) error {
	value, err := json.Marshal(event)
	if err != nil {
		return err
	}
	record := &kgo.Record{Topic: b.prefix + topic, Key: []byte(key), Value: value}
	if err := b.client.ProduceSync(ctx, record).FirstErr(); err != nil {
		return kafkaError{err}
	}
	return nil
}

// cache publishes an operation and waits for its answer.
func (b *bus) cache(ctx context.Context, event Cache, grace time.Duration) (CacheResult, error) {
	event.EventID = newID()
	answer := make(chan CacheResult, 1)
	b.lock.Lock()
	b.results[event.EventID] = answer
	b.lock.Unlock()
	if err := b.publish(ctx, "cache", *event.Namespace+":"+*event.Key, event); err != nil {
		return CacheResult{}, err
	}
	select {
	case result := <-answer:
		if result.Reason != nil {
			return result, fmt.Errorf("the cache did not %s: %s", event.Op, *result.Reason)
		}
		return result, nil
	case <-time.After(grace):
		return CacheResult{}, noAnswerError{"a cache event"}
	case <-ctx.Done():
		return CacheResult{}, ctx.Err()
	}
}

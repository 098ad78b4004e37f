package warmpool.example;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.avro.AvroRuntimeException;
import org.apache.avro.message.BinaryMessageEncoder;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.KafkaException;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.stereotype.Component;
import warmpool.Cache;
import warmpool.CacheResult;
import warmpool.ContainerAcquire;
import warmpool.ContainerAssignment;
import warmpool.ContainerRelease;

/** Requests for containers and cache operations, and their answers. */
@Component
class Requests {
    private final Settings settings;
    private final Answers answers;
    private final KafkaTemplate<String, ByteBuffer> kafka;
    private final Map<String, ContainerAssignment> latest = new ConcurrentHashMap<>(); // of this job's requests
    private final Map<String, Lease> leases = new ConcurrentHashMap<>();
    private final Map<String, CompletableFuture<CacheResult>> results = new ConcurrentHashMap<>();

    Requests(Settings settings, Answers answers, KafkaTemplate<String, ByteBuffer> kafka) {
        this.settings = settings;
        this.answers = answers;
        this.kafka = kafka;
    }

    void start() throws InterruptedException {
        answers.start(List.of(settings.prefix() + "container-assignment", settings.prefix() + "cache-result"), this::take);
    }

    /** Decodes what may be ours: an answer has the key of its event. */
    private void take(String topic, ConsumerRecord<String, ByteBuffer> record) {
        try {
            if (topic.endsWith("cache-result")) {
                CacheResult result = results.isEmpty() ? null : CacheResult.fromByteBuffer(record.value());
                var waiting = result == null ? null : results.get(result.getEventId());
                if (waiting != null) {
                    waiting.complete(result);
                }
            } else if (record.key() != null && record.key().startsWith(settings.job())) {
                ContainerAssignment answer = ContainerAssignment.fromByteBuffer(record.value());
                latest.put(answer.getRequestId(), answer);
                Lease lease = leases.get(answer.getRequestId());
                if (lease != null) {
                    lease.take(answer);
                }
            }
        } catch (IOException | AvroRuntimeException error) {
            System.err.println("runner: an answer on " + topic + " is not Avro of these schemas (wire.write = avro): " + error.getMessage());
        }
    }

    /** A request that nobody answers is cancelled. */
    Lease acquire(String id) throws InterruptedException {
        Lease lease = new Lease();
        ContainerAssignment earlier = latest.get(id);
        leases.put(id, lease);
        if (earlier != null && !earlier.getStatus().equals("assigned")) {
            return lease.checked(earlier); // warmpool does not answer a request again that has ended
        }
        publish("container-acquire", id, ContainerAcquire.newBuilder().setRequestId(id).setAgentId(settings.agent())
            .setPhilosophy(settings.philosophy()).setTimeoutMs(settings.timeout().toMillis()).build());
        try {
            return lease.checked(within(lease.answer, settings.timeout().plus(settings.grace()).toMillis(), "request " + id));
        } catch (Failure.NoAnswer | InterruptedException error) {
            release(id);
            throw error;
        }
    }

    void release(String id) {
        leases.remove(id);
        publish("container-release", id, ContainerRelease.newBuilder().setRequestId(id).setPhilosophy(settings.philosophy()).build());
    }

    CacheResult cache(Cache.Builder operation) throws InterruptedException {
        Cache event = operation.setEventId(UUID.randomUUID().toString()).build();
        var waiting = new CompletableFuture<CacheResult>();
        results.put(event.getEventId(), waiting);
        try {
            publish("cache", event.getNamespace() + ":" + event.getKey(), event);
            CacheResult result = within(waiting, settings.grace().toMillis(), "the " + event.getOp() + " of " + event.getKey());
            if (result.getReason() != null) {
                throw new IllegalStateException("the cache did not " + event.getOp() + " " + event.getKey() + ": " + result.getReason());
            }
            return result;
        } finally {
            results.remove(event.getEventId());
        }
    }

    void publish(String topic, String key, SpecificRecordBase event) {
        try {
            kafka.send(settings.prefix() + topic, key, encode(event)).join();
        } catch (KafkaException | org.springframework.kafka.KafkaException | CompletionException error) {
            throw new Failure.KafkaUnavailable("a record for " + topic + " was not taken: " + error.getMessage(), error);
        }
    }

    /** Avro single-object encoding. */
    private static ByteBuffer encode(SpecificRecordBase event) {
        try {
            return new BinaryMessageEncoder<SpecificRecordBase>(event.getSpecificData(), event.getSchema()).encode(event);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static <T> T within(CompletableFuture<T> future, long milliseconds, String what) throws InterruptedException {
        try {
            return future.get(milliseconds, TimeUnit.MILLISECONDS);
        } catch (TimeoutException error) {
            throw new Failure.NoAnswer(what);
        } catch (ExecutionException error) {
            throw new IllegalStateException(error.getCause());
        }
    }

    /** One request, from its acquire on. */
    final class Lease {
        private final CompletableFuture<ContainerAssignment> answer = new CompletableFuture<>();
        private final CompletableFuture<ContainerAssignment> lost = new CompletableFuture<>();

        private void take(ContainerAssignment record) {
            if (record.getStatus().equals("lost")) {
                lost.complete(record);
            }
            answer.complete(record); // a repeated answer does nothing
        }

        private Lease checked(ContainerAssignment record) {
            answer.complete(record);
            switch (record.getStatus()) {
                case "assigned":
                    return this;
                case "lost":
                    throw new Failure.LeaseLost(record.getReason());
                default:
                    throw new Failure.Rejected(record.getReason(), record.getRetryAfterMs());
            }
        }

        ContainerAssignment assignment() {
            return answer.join();
        }

        boolean isLost() {
            return lost.isDone();
        }

        /** Does the work on this thread; a lost lease interrupts it. When it fails, a notice that comes within the grace explains why. */
        <T> T interruptible(Callable<T> work) throws Exception {
            Thread worker = Thread.currentThread();
            var watch = lost.thenAccept(record -> worker.interrupt());
            T result;
            try {
                result = work.call();
            } catch (IOException | InterruptedException error) {
                watch.cancel(true);
                System.out.println("interrupted: " + error);
                Thread.interrupted();
                try {
                    within(lost, settings.grace().toMillis(), "");
                } catch (Failure.NoAnswer held) {
                    throw error;
                }
                throw new Failure.LeaseLost(lost.join().getReason());
            }
            watch.cancel(true);
            Thread.interrupted(); // the notice may have come at the very end
            if (isLost()) {
                throw new Failure.LeaseLost(lost.join().getReason());
            }
            return result;
        }
    }
}

package warmpool.example;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.springframework.beans.factory.DisposableBean;
import org.springframework.kafka.core.ConsumerFactory;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.listener.KafkaMessageListenerContainer;
import org.springframework.kafka.listener.MessageListener;
import org.springframework.kafka.support.TopicPartitionOffset;
import org.springframework.stereotype.Component;

/** Reads the answers. Not as a group: every runner has to see its own, and a group's members share them. */
@Component
class Answers implements DisposableBean {
    /** Of answers read at the start: as long as warmpool remembers a request that ended. */
    private static final Duration LOOK_BACK = Duration.ofMinutes(10);
    private static final Duration START = Duration.ofSeconds(30);

    private final ConsumerFactory<String, ByteBuffer> consumers;
    private final Map<TopicPartition, Long> behind = new HashMap<>(); // partitions that are not read up to where they ended at the start
    private final CountDownLatch caughtUp = new CountDownLatch(1);
    private KafkaMessageListenerContainer<String, ByteBuffer> container;

    Answers(ConsumerFactory<String, ByteBuffer> consumers) {
        this.consumers = consumers;
    }

    /** Returns when the answers of the time before are read: they may be to this job's requests. */
    void start(List<String> topics, BiConsumer<String, ConsumerRecord<String, ByteBuffer>> take) throws InterruptedException {
        List<TopicPartitionOffset> starts = new ArrayList<>();
        try (Consumer<String, ByteBuffer> asking = consumers.createConsumer("warmpool-example", null)) {
            List<TopicPartition> partitions = topics.stream().flatMap(topic -> asking.partitionsFor(topic, START).stream())
                .map(info -> new TopicPartition(info.topic(), info.partition())).collect(Collectors.toList());
            long since = Instant.now().minus(LOOK_BACK).toEpochMilli();
            var ends = asking.endOffsets(partitions, START);
            asking.offsetsForTimes(partitions.stream().collect(Collectors.toMap(partition -> partition, partition -> since)), START)
                .forEach((partition, found) -> {
                    long end = ends.get(partition);
                    long from = found == null ? end : found.offset();
                    if (from < end) {
                        behind.put(partition, end);
                    }
                    starts.add(new TopicPartitionOffset(partition.topic(), partition.partition(), from));
                });
        } catch (KafkaException error) {
            throw new Failure.KafkaUnavailable(error.getMessage(), error);
        }
        noteCaughtUp();
        ContainerProperties properties = new ContainerProperties(starts.toArray(TopicPartitionOffset[]::new));
        properties.setMessageListener((MessageListener<String, ByteBuffer>) record -> {
            take.accept(record.topic(), record);
            var partition = new TopicPartition(record.topic(), record.partition());
            if (behind.getOrDefault(partition, Long.MAX_VALUE) <= record.offset() + 1) {
                behind.remove(partition);
                noteCaughtUp();
            }
        });
        properties.setAckMode(ContainerProperties.AckMode.MANUAL); // nothing is committed
        properties.setGroupId("warmpool-example");
        container = new KafkaMessageListenerContainer<>(consumers, properties);
        container.start();
        if (!caughtUp.await(START.toMillis(), TimeUnit.MILLISECONDS)) {
            throw new Failure.KafkaUnavailable("the answers of the last " + LOOK_BACK + " could not be read within " + START, null);
        }
    }

    private void noteCaughtUp() {
        if (behind.isEmpty()) {
            caughtUp.countDown();
        }
    }

    @Override
    public void destroy() {
        if (container != null) {
            container.stop();
        }
    }
}

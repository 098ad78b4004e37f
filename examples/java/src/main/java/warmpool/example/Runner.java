package warmpool.example;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.springframework.boot.CommandLineRunner;
import org.springframework.boot.ExitCodeGenerator;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import warmpool.Cache;
import warmpool.ContainerAssignment;
import warmpool.UsageRecord;

/** Runs one job in a warm container: acquire, tool metadata from the cache, the job, usage, release. See README.md. */
@SpringBootApplication
@EnableConfigurationProperties(Settings.class)
public class Runner implements CommandLineRunner, ExitCodeGenerator {
    private final Settings settings;
    private final Requests requests;
    private int exit;

    Runner(Settings settings, Requests requests) {
        this.settings = settings;
        this.requests = requests;
    }

    public static void main(String[] arguments) {
        System.exit(SpringApplication.exit(SpringApplication.run(Runner.class, arguments)));
    }

    @Override
    public int getExitCode() {
        return exit;
    }

    @Override
    public void run(String... arguments) throws Exception {
        try {
            requests.start();
            exit = attempts();
        } catch (Failure failure) {
            System.err.println("runner: " + failure.getMessage());
            exit = failure.getExitCode();
        }
    }

    /** Another attempt is another request. Its id follows from the job's, so a restarted runner goes on with the same one. */
    private int attempts() throws Exception {
        for (int number = 1;; number++) {
            boolean last = number >= settings.attempts();
            try {
                return attempt(number == 1 ? settings.job() : settings.job() + "." + number);
            } catch (Failure.Rejected rejected) {
                System.out.println("rejected: " + rejected.getMessage());
                if (last || rejected.retryAfter == null) {
                    throw rejected;
                }
                Thread.sleep(rejected.retryAfter.toMillis());
            } catch (Failure.LeaseLost lost) {
                System.out.println("lost: " + lost.getMessage());
                if (last) {
                    throw lost;
                }
            }
        }
    }

    private int attempt(String id) throws Exception {
        Requests.Lease lease = requests.acquire(id);
        ContainerAssignment given = lease.assignment();
        System.out.printf("assigned: %s %s epoch %d%n", given.getContainerId(), given.getWarmStart() ? "warm" : "cold", given.getLeaseEpoch());
        try {
            return lease.interruptible(() -> work(lease)); // a lost lease interrupts it, and is thrown
        } finally {
            if (!lease.isLost()) {
                requests.release(id);
            }
        }
    }

    private int work(Requests.Lease lease) throws Exception {
        toolMetadata();
        long began = System.nanoTime();
        Container.Result result = Container.run(lease.assignment(), settings);
        if (result.exit() != 0) {
            // Perhaps its container has ended. Then the notice comes within moments, and interrupts this.
            Thread.sleep(settings.grace().toMillis());
        }
        System.out.println("output: " + result.output().strip());
        // The record's id makes a job that is run again after a crash count once.
        requests.publish("usage-record", settings.agent(), UsageRecord.newBuilder().setRecordId(lease.assignment().getRequestId())
            .setAgentId(settings.agent()).setPhilosophy(settings.philosophy()).setExecutionTime((System.nanoTime() - began) / 1e9)
            .setCpuPercent(result.cpuPercent()).setMemoryUsageMb(result.memoryMb()).build());
        return result.exit();
    }

    /** From the shared cache; whoever misses it puts it there. */
    private String toolMetadata() throws InterruptedException {
        var found = requests.cache(Cache.newBuilder().setOp("get").setNamespace("tool").setKey("shell"));
        System.out.println("tool metadata: " + (found.getHit() ? "hit" : "miss"));
        if (found.getHit()) {
            return StandardCharsets.UTF_8.decode(found.getValue()).toString();
        }
        String metadata = "{\"name\": \"shell\", \"arguments\": [\"command\"]}";
        requests.cache(Cache.newBuilder().setOp("set").setNamespace("tool").setKey("shell")
            .setValue(ByteBuffer.wrap(metadata.getBytes(StandardCharsets.UTF_8))));
        return metadata;
    }
}

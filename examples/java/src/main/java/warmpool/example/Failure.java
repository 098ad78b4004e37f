package warmpool.example;

import java.time.Duration;
import org.springframework.boot.ExitCodeGenerator;

/** Why a job did not end as it should, and how the runner exits then. */
public abstract sealed class Failure extends RuntimeException implements ExitCodeGenerator {
    private final int exitCode;

    private Failure(String text, int exitCode) {
        super(text);
        this.exitCode = exitCode;
    }

    @Override
    public int getExitCode() {
        return exitCode;
    }

    public static final class Rejected extends Failure {
        /** null: another try is not worth it. */
        public final Duration retryAfter;

        public Rejected(String reason, Long retryAfterMs) {
            super(reason, 3);
            retryAfter = retryAfterMs == null ? null : Duration.ofMillis(retryAfterMs);
        }
    }

    public static final class NoAnswer extends Failure {
        public NoAnswer(String what) {
            super(what + " was not answered: does a worker run?", 4);
        }
    }

    public static final class LeaseLost extends Failure {
        public LeaseLost(String reason) {
            super(reason, 5);
        }
    }

    public static final class KafkaUnavailable extends Failure {
        public KafkaUnavailable(String text, Throwable cause) {
            super("Kafka: " + text, 6);
            initCause(cause);
        }
    }
}

package warmpool.example;

import java.nio.file.Path;
import java.time.Duration;
import java.util.UUID;
import org.springframework.boot.context.properties.ConfigurationProperties;

/** What application.properties makes of the environment. */
@ConfigurationProperties("runner")
public record Settings(String prefix, String job, String command, String philosophy, String agent, Path agents, Duration timeout,
                       Duration grace, int attempts) {
    public Settings {
        if (job == null || job.isEmpty()) {
            job = UUID.randomUUID().toString();
        }
        prefix = prefix == null ? "" : prefix;
    }
}

package warmpool.example;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import warmpool.ContainerAssignment;

/** A command is run in a container by what its assignment says of where it is. */
final class Container {
    /** The figures are null where nobody measured them. */
    record Result(String output, int exit, @JsonProperty("cpu_percent") Double cpuPercent, @JsonProperty("memory_mb") Double memoryMb) {}

    private Container() {}

    static Result run(ContainerAssignment lease, Settings settings) throws IOException, InterruptedException {
        String address = lease.getAddress() == null ? "" : lease.getAddress();
        if (address.startsWith("container:")) { // a Docker engine, and no network
            return dockerExec(address.substring("container:".length()), settings.command());
        }
        return askAgent(settings.agents().resolve(lease.getContainerId() + ".sock"), settings.command());
    }

    private static Result dockerExec(String name, String command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder("docker", "exec", name, "sh", "-c", command)
            .redirectError(ProcessBuilder.Redirect.INHERIT).start();
        try {
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            return new Result(output, process.waitFor(), null, null);
        } finally {
            process.destroy();
        }
    }

    /** Sends the command to agent/agent.py, which runs in the container. */
    private static Result askAgent(Path path, String command) throws IOException {
        try (SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(path))) { // an interrupt closes it
            channel.write(ByteBuffer.wrap(command.getBytes(StandardCharsets.UTF_8)));
            channel.shutdownOutput();
            var answer = new ByteArrayOutputStream();
            Channels.newInputStream(channel).transferTo(answer);
            if (answer.size() == 0) {
                throw new EOFException("the agent has gone");
            }
            return new ObjectMapper().readValue(answer.toByteArray(), Result.class);
        }
    }
}

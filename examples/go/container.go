// The container: a command is run in it by what its assignment says of where it is.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
)

type result struct {
	Output     string   `json:"output"`
	Exit       int      `json:"exit"`
	CPUPercent *float64 `json:"cpu_percent"` // nil where nobody measured it
	MemoryMB   *float64 `json:"memory_mb"`
}

func runIn(ctx context.Context, s settings, lease ContainerAssignment) (result, error) {
	if lease.Address != nil && strings.HasPrefix(*lease.Address, "container:") { // a Docker engine, and no network
		return dockerExec(ctx, strings.TrimPrefix(*lease.Address, "container:"), s.command)
	}
	return askAgent(ctx, filepath.Join(s.agents, *lease.ContainerID+".sock"), s.command)
}

func dockerExec(ctx context.Context, name, command string) (result, error) {
	output, err := exec.CommandContext(ctx, "docker", "exec", name, "sh", "-c", command).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		return result{Output: string(output), Exit: exit.ExitCode()}, nil
	}
	return result{Output: string(output)}, err
}

// askAgent sends the command to agent/agent.py, which runs in the container.
func askAgent(ctx context.Context, path, command string) (result, error) {
	var answer result
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return answer, err
	}
	done := make(chan struct{})
	defer close(done)
	go func() { // a read does not end with the context by itself
		select {
		case <-ctx.Done():
		case <-done:
		}
		connection.Close()
	}()
	if _, err := io.WriteString(connection, command); err != nil {
		return answer, err
	}
	if err := connection.(*net.UnixConn).CloseWrite(); err != nil {
		return answer, err
	}
	data, err := io.ReadAll(connection)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return answer, fmt.Errorf("the agent's answer: %w", err)
	}
	return answer, nil
}

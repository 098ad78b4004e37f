-- revision 42
local function public(name, callback)
    redis.register_function({function_name = name, callback = callback, flags = {'no-writes'}})
end

public('wp_pool_stats', pool_stats.all)
public('wp_metrics', pool_stats.all)
public('wp_predict', pool_stats.predict)
public('wp_leases', pool_stats.leases)
public('wp_agents', pool_stats.agents)
public('wp_hosts', host_stats.all)
public('wp_host', host_stats.containers)
public('wp_pool_containers', pool_contents.containers)
public('wp_waiting', pool_contents.waiting)

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/config.h"

static struct wp_config config;
static struct wp_error error;
static char path[] = "/tmp/warmpool-config-XXXXXX";

static void setup(void) {
    wp_config_init(&config);
}
static void teardown(void) {
    wp_config_done(&config);
    unlink(path);
}
TestSuite(config, .init = setup, .fini = teardown);

static void set(const char *key, const char *value) {
    cr_assert_eq(wp_config_set(&config, key, value, &error), WP_OK, "%s", error.text);
}

static void expect_refusal(const char *key, const char *value, const char *sentence) {
    cr_assert_eq(wp_config_set(&config, key, value, &error), WP_ERR_CONFIG, "%s = %s", key, value);
    cr_assert_str_eq(error.text, sentence);
    cr_assert_eq(wp_config_set(&config, key, value, NULL), WP_ERR_CONFIG);
}

static enum wp_err load_bytes(struct wp_str ini) {
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, ini.ptr, ini.len), (ssize_t)ini.len);
    close(fd);
    return wp_config_load_file(&config, path, &error);
}

static enum wp_err load(const char *ini) {
    return load_bytes(wp_str(ini));
}

static void expect_load(const char *ini) {
    cr_assert_eq(load(ini), WP_OK, "%s", error.text);
}

static void expect_bad_file(const char *ini, const char *what, int line) {
    cr_assert_eq(load(ini), WP_ERR_CONFIG);
    struct wp_buf text = {0};
    wp_buf_printf(&text, "%s (file %s, line %d)", what, path, line);
    cr_assert(wp_str_is(wp_buf_str(&text), error.text), "%s", error.text);
    wp_buf_done(&text);
}

static enum wp_err load_variable(const char *variable) {
    char *environment[] = {"PATH=/bin", (char *)variable, "HOME=/", NULL};
    return wp_config_load_environment(&config, environment, &error);
}

static char *printed(void (*print)(FILE *out)) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (print)
        print(out);
    else
        wp_config_print(&config, out);
    fclose(out);
    return text;
}

/* ---- defaults ---- */

Test(config, the_defaults_are_the_documented_ones) {
    cr_assert_str_eq(wp_settings_get(&config.kafka, "bootstrap.servers"), "localhost:9092");
    cr_assert_str_eq(wp_settings_get(&config.kafka, "group.id"), "warmpool");
    cr_assert_eq(config.kafka.count, 2);
    cr_assert_str_eq(config.redis.prefix, "wp");
    cr_assert_str_eq(config.topics.prefix, "");
    cr_assert_eq(config.topics.partitions, 6);
    cr_assert_eq(config.wire.write, WP_WIRE_AVRO);
    cr_assert_eq(config.wire.accept, 7);
    cr_assert(config.pool.enabled && config.pool.warm_start && config.cache.enabled && config.memory.enabled);
    cr_assert_eq(config.pool.size, 10);
    cr_assert_str_eq(wp_settings_get(&config.pool.prewarm, "react"), "5");
    cr_assert_str_eq(wp_settings_get(&config.pool.prewarm, "chain_of_thought"), "5");
    cr_assert_eq(config.pool.prewarm_interval, 60);
    cr_assert_eq(config.pool.prewarm_below, 20.0);
    cr_assert_eq(config.pool.timeout_ms, 30000);
    cr_assert_eq(config.pool.lease_ms, 3600000);
    cr_assert_eq(config.cache.max_entries, 1000);
    cr_assert_eq(config.cache.default_ttl, 300);
    cr_assert_str_eq(wp_settings_get(&config.cache.ttl, "tool"), "600");
    cr_assert_str_eq(wp_settings_get(&config.cache.ttl, "pattern"), "300");
    cr_assert_eq(config.predictor.history_size, 100);
    cr_assert_eq(config.predictor.buffer, 1.2);
    cr_assert_eq(config.memory.interval, 300);
    cr_assert_eq(config.metrics.interval, 10);
    cr_assert_eq(config.tuning.mode, WP_TUNING_ADVISE);
    cr_assert_eq(config.host.on_exit, WP_EXIT_AUTO);
    cr_assert_str_eq(config.http.listen, "127.0.0.1:9464");
    cr_assert_eq(wp_config_check(&config, &error), WP_OK, "%s", error.text);
}

/* ---- one value ---- */

Test(config, every_type_is_set_from_text) {
    set("pool.size", "25");
    set("predictor.buffer", "1.75");
    set("pool.enabled", "no");
    set("wire.write", "json");
    set("wire.read", "json, avro");
    set("redis.url", "redis://h:1/2");
    set("host.name", "host-1");
    set("process.ready", "notify");
    set("tuning.mode", "apply");
    set("host.on_exit", "keep");
    cr_assert_eq(config.pool.size, 25);
    cr_assert_eq(config.predictor.buffer, 1.75);
    cr_assert_not(config.pool.enabled);
    cr_assert_eq(config.wire.write, WP_WIRE_JSON);
    cr_assert_eq(config.wire.accept, (1u << WP_WIRE_JSON) | (1u << WP_WIRE_AVRO));
    cr_assert_str_eq(config.redis.url, "redis://h:1/2");
    cr_assert_str_eq(config.host.name, "host-1");
    cr_assert_str_eq(config.process.ready, "notify");
    cr_assert_eq(config.tuning.mode, WP_TUNING_APPLY);
    cr_assert_eq(config.host.on_exit, WP_EXIT_KEEP);
    set("pool.enabled", "on");
    cr_assert(config.pool.enabled);
}

Test(config, families_take_new_keys_and_replace_known_ones) {
    set("pool.size.react", "7");
    set("cache.ttl.tool", "60");
    set("cache.ttl.session", "0");
    set("kafka.security.protocol", "SASL_SSL");
    set("kafka.bootstrap.servers", "a:1,b:2");
    cr_assert_str_eq(wp_settings_get(&config.pool.sizes, "react"), "7");
    cr_assert_str_eq(wp_settings_get(&config.cache.ttl, "tool"), "60");
    cr_assert_str_eq(wp_settings_get(&config.cache.ttl, "session"), "0");
    cr_assert_str_eq(wp_settings_get(&config.kafka, "security.protocol"), "SASL_SSL");
    cr_assert_str_eq(wp_settings_get(&config.kafka, "bootstrap.servers"), "a:1,b:2");
    cr_assert_null(wp_settings_get(&config.kafka, "ssl.ca.location"));
    cr_assert_eq(config.pool.size, 10, "the family's own default is another key");
}

Test(config, a_prewarm_list_replaces_the_whole_list) {
    set("pool.prewarm", "react:1, my-agent:2");
    cr_assert_eq(config.pool.prewarm.count, 2);
    cr_assert_str_eq(wp_settings_get(&config.pool.prewarm, "my-agent"), "2");
    set("pool.prewarm", "");
    cr_assert_eq(config.pool.prewarm.count, 0);
}

Test(config, a_wrong_value_is_answered_with_what_is_wanted) {
    expect_refusal("pool.size", "ten",
                   "configuration: pool.size = \"ten\": a whole number from 0 to 100000 is wanted");
    expect_refusal("pool.size", "-1",
                   "configuration: pool.size = \"-1\": a whole number from 0 to 100000 is wanted");
    expect_refusal("pool.size", "",
                   "configuration: pool.size = \"\": a whole number from 0 to 100000 is wanted");
    expect_refusal("predictor.low_confidence", "1.1",
                   "configuration: predictor.low_confidence = \"1.1\": a number from 0 to 1 is wanted");
    expect_refusal("wire.write", "xml",
                   "configuration: wire.write = \"xml\": avro, confluent or json is wanted");
    expect_refusal("wire.read", "avro,xml",
                   "configuration: wire.read = \"avro,xml\": some of avro, confluent, json, separated by "
                   "commas is wanted");
    expect_refusal("cache.enabled", "maybe",
                   "configuration: cache.enabled = \"maybe\": true or false is wanted");
    expect_refusal("redis.url", "", "configuration: redis.url = \"\": text, not empty is wanted");
    expect_refusal("redis.prefix", "a{b}",
                   "configuration: redis.prefix = \"a{b}\": 1 to 64 of A-Z a-z 0-9 _ . - is wanted");
    expect_refusal("host.name", "a b",
                   "configuration: host.name = \"a b\": empty, or 1 to 64 of A-Z a-z 0-9 _ . - is wanted");
    expect_refusal("log.level", "loud",
                   "configuration: log.level = \"loud\": debug, info, warn or error is wanted");
    expect_refusal("cache.ttl.tool", "-5",
                   "configuration: cache.ttl.tool = \"-5\": a whole number from 0 to 31536000 is wanted");
    cr_assert_eq(config.pool.size, 10, "a refused value changes nothing");
    cr_assert_str_eq(config.redis.prefix, "wp");
}

Test(config, numbers_that_only_a_computer_would_write_are_refused) {
    static const char *const integers[] = {"1e3",
                                           " 5",
                                           "5 ",
                                           "0x10",
                                           "99999999999999999999",
                                           "5-",
                                           "1.0",
                                           "--5",
                                           "000000000000000000000000000001"};
    for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++) {
        cr_assert_eq(wp_config_set(&config, "pool.size", integers[i], NULL), WP_ERR_CONFIG, "%s",
                     integers[i]);
    }
    static const char *const numbers[] = {"nan", "inf", "0x1p4", " 2", "2 ", "1,5", "", "1e999"};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        cr_assert_eq(wp_config_set(&config, "predictor.buffer", numbers[i], NULL), WP_ERR_CONFIG, "%s",
                     numbers[i]);
    }
}

Test(config, a_wrong_prewarm_list_is_refused_and_the_old_one_kept) {
    static const char *const lists[] = {"react", "react:",   ":5",     "react:5,,x:1",
                                        "a b:1", "react:-1", "react:x"};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        cr_assert_eq(wp_config_set(&config, "pool.prewarm", lists[i], NULL), WP_ERR_CONFIG, "%s", lists[i]);
    }
    cr_assert_eq(config.pool.prewarm.count, 2);
}

Test(config, an_unknown_key_is_answered_with_the_nearest_one) {
    expect_refusal("pool.sise", "5", "configuration: pool.sise is not a known key; did you mean pool.size?");
    expect_refusal("cache.max_entrys", "5",
                   "configuration: cache.max_entrys is not a known key; did you mean cache.max_entries?");
    expect_refusal("tuning.modus", "off",
                   "configuration: tuning.modus is not a known key; did you mean tuning.mode?");
    cr_assert_eq(wp_config_set(&config, "", "", NULL), WP_ERR_CONFIG);
}

/* ---- the file ---- */

Test(config, a_file_sets_keys_with_dots_comments_and_indentation) {
    expect_load("# a comment\n"
                "; another\n"
                "[kafka]\n"
                "bootstrap.servers = k1:9092,k2:9092\n"
                "  security.protocol = PLAINTEXT\n"
                "[pool]\n"
                "size = 20 ; after the value\n"
                "\tsize.react=3\n"
                "[cache.ttl]\n"
                "tool = 1\n"
                "[process]\n"
                "command =   exec sleep 5; true\n");
    cr_assert_str_eq(wp_settings_get(&config.kafka, "bootstrap.servers"), "k1:9092,k2:9092");
    cr_assert_str_eq(wp_settings_get(&config.kafka, "security.protocol"), "PLAINTEXT");
    cr_assert_eq(config.pool.size, 20);
    cr_assert_str_eq(wp_settings_get(&config.pool.sizes, "react"), "3");
    cr_assert_str_eq(wp_settings_get(&config.cache.ttl, "tool"), "1");
    cr_assert_str_eq(config.process.command, "exec sleep 5; true");
}

Test(config, a_full_key_may_stand_without_a_section) {
    expect_load("pool.size = 4");
    cr_assert_eq(config.pool.size, 4);
}

Test(config, a_wrong_line_is_named_with_file_and_line) {
    expect_bad_file("[pool]\n\nsize = ten\nsize = eleven\n",
                    "configuration: pool.size = \"ten\": a whole number from 0 to 100000 is wanted", 3);
}

Test(config, an_unknown_key_in_a_file_is_named_with_file_and_line) {
    expect_bad_file("[pools]\nsize = 5\n",
                    "configuration: pools.size is not a known key; did you mean pool.size?", 2);
}

Test(config, a_line_that_is_no_pair_is_refused) {
    expect_bad_file("[pool]\nsize = 5\nwhat is this\n", "configuration: neither [section] nor key = value",
                    3);
}

Test(config, a_long_line_is_read_whole_or_refused_never_cut) {
    struct wp_buf ini = {0};
    wp_buf_add_str(&ini, "[pool]\nsize = 3\n[process]\ncommand = echo ");
    for (int i = 0; i < 20000; i++) wp_buf_add_str(&ini, "x");
    wp_buf_add(&ini, "\nready = running\n", sizeof("\nready = running\n"));
    cr_assert_eq(load(ini.data), WP_ERR_CONFIG);
    cr_assert_not_null(
        strstr(error.text, "bytes cannot be read; give this value by -o or the environment (file "), "%s",
        error.text);
    cr_assert_not_null(strstr(error.text, ", line 4)"), "%s", error.text);
    cr_assert_eq(config.pool.size, 3);
    wp_buf_done(&ini);
}

Test(config, a_file_with_a_zero_byte_is_refused_never_passed_over) {
    static const char zeros[64], hidden[] = "[pool]\n\0size = 3\n", cut[] = "[pool]\nsize = 3\0 4\n";
    const struct wp_str files[] = {
        {zeros, sizeof zeros}, {hidden, sizeof hidden - 1}, {cut, sizeof cut - 1}, {"a\0\n\0\0", 5}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        cr_assert_eq(load_bytes(files[i]), WP_ERR_CONFIG, "%zu", i);
        cr_assert_not_null(strstr(error.text, "there is a NUL byte"), "%s", error.text);
        cr_assert_eq(config.pool.size, 10);
        unlink(path);
        memcpy(path + sizeof path - 7, "XXXXXX", 6);
    }
}

/* ---- include ---- */

static char *folder_of_ini(void) {
    static char folder[] = "/tmp/warmpool-config-folder-XXXXXX";
    cr_assert_not_null(mkdtemp(folder));
    return folder;
}

static void write_file(const char *folder, const char *name, const char *text) {
    char file[128];
    snprintf(file, sizeof file, "%s/%s", folder, name);
    FILE *out = fopen(file, "we");
    cr_assert_not_null(out, "%s", file);
    fputs(text, out);
    fclose(out);
}

static void remove_folder(const char *folder) {
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    cr_assert_eq(system(command), 0);
}

static enum wp_err load_in(const char *folder) {
    char file[128];
    snprintf(file, sizeof file, "%s/main.ini", folder);
    return wp_config_load_file(&config, file, &error);
}

Test(config, files_of_a_folder_are_included_in_the_order_of_their_names_and_win) {
    char *folder = folder_of_ini(), conf_d[96];
    snprintf(conf_d, sizeof conf_d, "%s/conf.d", folder);
    cr_assert_eq(mkdir(conf_d, 0700), 0);
    write_file(folder, "main.ini", "include = conf.d\n[pool]\nsize = 5\nmax_uses = 5\nmax_age = 5\n");
    write_file(conf_d, "20-b.ini", "[pool]\nsize = 20\n");
    write_file(conf_d, "10-a.ini", "[pool]\nsize = 10\nmax_uses = 10\n");
    write_file(conf_d, ".hidden.ini", "nonsense\n");
    write_file(conf_d, "30-c.ini~", "nonsense\n");
    cr_assert_eq(load_in(folder), WP_OK, "%s", error.text);
    cr_assert_eq(config.pool.size, 20);
    cr_assert_eq(config.pool.max_uses, 10);
    cr_assert_eq(config.pool.max_age, 5);
    remove_folder(folder);
}

Test(config, what_is_wrong_with_an_include_is_named_with_file_and_line) {
    static const struct {
        const char *main, *part, *sentence;
    } cases[] = {
        {"include = part.ini\n", "[pool]\n\nsize = x\n",
         "configuration: pool.size = \"x\": a whole number from 0 to 100000 is wanted (file %s/part.ini, "
         "line "
         "3)"},
        {"include = part.ini\n", "include = other.ini\n",
         "configuration: a file that is included cannot include others (file %s/part.ini, line 1)"},
        {"[pool]\ninclude = part.ini\n", "",
         "configuration: include has to stand before the first [section] (file %s/main.ini, line 2)"},
        {"include = nowhere\n", "",
         "configuration: include = nowhere: %s/nowhere cannot be read: No such file or directory; name a "
         "folder of *.ini files, or a file, that this user may read (file %s/main.ini, line 1)"},
    };
    char *folder = folder_of_ini();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char sentence[512];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(sentence, sizeof sentence, cases[i].sentence, folder, folder);
#pragma GCC diagnostic pop
        write_file(folder, "main.ini", cases[i].main);
        write_file(folder, "part.ini", cases[i].part);
        cr_expect_eq(load_in(folder), WP_ERR_CONFIG);
        cr_expect_str_eq(error.text, sentence);
    }
    remove_folder(folder);
}

Test(config, a_missing_file_is_named) {
    cr_assert_eq(wp_config_load_file(&config, "/no/such.ini", &error), WP_ERR_CONFIG);
    cr_assert_str_eq(error.text,
                     "configuration: the file /no/such.ini cannot be read: No such file or directory");
    cr_assert_eq(wp_config_load_file(&config, "/tmp", &error), WP_ERR_CONFIG);
}

/* ---- the environment ---- */

Test(config, the_environment_spells_keys_in_capitals) {
    cr_assert_eq(load_variable("WARMPOOL_POOL_MAX_CONTAINERS=50"), WP_OK, "%s", error.text);
    cr_assert_eq(load_variable("WARMPOOL_POOL_SIZE=8"), WP_OK, "%s", error.text);
    cr_assert_eq(load_variable("WARMPOOL_POOL_SIZE_REACT=9"), WP_OK, "%s", error.text);
    cr_assert_eq(load_variable("WARMPOOL_POOL_SIZE_CHAIN_OF_THOUGHT=6"), WP_OK, "%s", error.text);
    cr_assert_eq(load_variable("WARMPOOL_CACHE_TTL_TOOL=77"), WP_OK, "%s", error.text);
    cr_assert_eq(load_variable("WARMPOOL_CACHE_DEFAULT_TTL=78"), WP_OK, "%s", error.text);
    cr_assert_eq(load_variable("WARMPOOL_KAFKA_BOOTSTRAP_SERVERS=k:1=x"), WP_OK, "%s", error.text);
    cr_assert_eq(config.pool.max_containers, 50);
    cr_assert_eq(config.pool.size, 8);
    cr_assert_str_eq(wp_settings_get(&config.pool.sizes, "react"), "9");
    cr_assert_str_eq(wp_settings_get(&config.pool.sizes, "chain_of_thought"), "6");
    cr_assert_str_eq(wp_settings_get(&config.cache.ttl, "tool"), "77");
    cr_assert_eq(config.cache.default_ttl, 78);
    cr_assert_str_eq(wp_settings_get(&config.kafka, "bootstrap.servers"), "k:1=x");
}

Test(config, wrong_and_unknown_variables_are_named) {
    cr_assert_eq(load_variable("WARMPOOL_POOL_SIZE=ten"), WP_ERR_CONFIG);
    cr_assert_str_eq(error.text,
                     "configuration: pool.size = \"ten\": a whole number from 0 to 100000 is wanted "
                     "(environment WARMPOOL_POOL_SIZE)");
    cr_assert_eq(load_variable("WARMPOOL_TUNING_MODUS=off"), WP_ERR_CONFIG);
    cr_assert_str_eq(error.text, "configuration: tuning.modus is not a known key; did you mean tuning.mode? "
                                 "(environment WARMPOOL_TUNING_MODUS)");
    cr_assert_eq(load_variable("WARMPOOL_=1"), WP_ERR_CONFIG);
    cr_assert_eq(load_variable("WARMPOOL_CACHE_TTL_=1"), WP_ERR_CONFIG);
}

Test(config, other_variables_and_those_for_containers_are_left_alone) {
    cr_assert_eq(load_variable("WARMPOOL_READY_FD=3"), WP_OK);
    cr_assert_eq(load_variable("WARMPOOL_CONTAINER_ID=x"), WP_OK);
    cr_assert_eq(load_variable("WARMPOOLS=1"), WP_OK);
    cr_assert_eq(load_variable("WARMPOOL_NOVALUE"), WP_OK);
}

/* Kubernetes sets them in every pod of a namespace that has a Service of such a name. */
Test(config, variables_of_a_service_are_left_alone) {
    static const char *const variables[] = {"WARMPOOL_SERVICE_HOST=10.96.0.7",
                                            "WARMPOOL_SERVICE_PORT=9464",
                                            "WARMPOOL_SERVICE_PORT_METRICS=9464",
                                            "WARMPOOL_PORT=tcp://10.96.0.7:9464",
                                            "WARMPOOL_PORT_9464_TCP=tcp://10.96.0.7:9464",
                                            "WARMPOOL_PORT_9464_TCP_PROTO=tcp",
                                            "WARMPOOL_PORT_9464_TCP_PORT=9464",
                                            "WARMPOOL_PORT_9464_TCP_ADDR=10.96.0.7",
                                            "WARMPOOL_PORT_53_UDP=udp://10.96.0.7:53",
                                            "WARMPOOL_REDIS_SERVICE_HOST=10.96.0.8",
                                            "WARMPOOL_REDIS_PORT=tcp://10.96.0.8:6379",
                                            "WARMPOOL_KAFKA_SERVICE_PORT_CLIENT=9092",
                                            "WARMPOOL_KAFKA_PORT_9092_TCP_ADDR=10.96.0.9"};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        cr_assert_eq(load_variable(variables[i]), WP_OK, "%s: %s", variables[i], error.text);
    cr_assert_eq(config.kafka.count, 2);
    static const char *const others[] = {"WARMPOOL_PORT=9464", "WARMPOOL_HTTP_PORT=9464",
                                         "WARMPOOL_SERVICE_HOSTS=x", "WARMPOOL_REPORT=tcp://x",
                                         "WARMPOOL_PORT_X=tcp://x"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_assert_eq(load_variable(others[i]), WP_ERR_CONFIG, "%s", others[i]);
}

/* ---- checks across fields ---- */

static void expect_conflict(const char *part) {
    cr_assert_eq(wp_config_check(&config, &error), WP_ERR_CONFIG);
    cr_assert_not_null(strstr(error.text, part), "%s", error.text);
    wp_config_done(&config);
    wp_config_init(&config);
}

Test(config, values_that_contradict_each_other_are_refused) {
    set("pool.size", "200");
    expect_conflict("pool.size (200) is above pool.max_containers (100)");
    set("pool.size.react", "200");
    expect_conflict("pool.size.react (200) is above pool.max_containers (100)");
    set("pool.max_containers.react", "5");
    expect_conflict("pool.size (10) is above pool.max_containers.react (5)");
    set("pool.reuse.react", "sometimes");
    expect_conflict("pool.reuse.react = sometimes: never, same_agent, same_tenant or always is wanted");
    set("pool.min_cpu_percent", "500");
    expect_conflict("pool.min_cpu_percent (500) is above");
    set("pool.min_memory_mb", "20000");
    expect_conflict("pool.min_memory_mb (20000) is above");
    set("pool.prewarm", "react:11");
    expect_conflict("pool.prewarm asks for 11 containers of react, but only 10 are kept idle");
    set("wire.read", "json");
    expect_conflict("wire.read leaves out the format of wire.write");
    set("wire.write", "confluent");
    expect_conflict("set wire.registry.url or wire.confluent_ids");
    set("wire.registry.url", "registry:8081");
    expect_conflict("wire.registry.url: http://host:port or https://host:port is wanted");
    set("wire.registry.url", "http://user:pass@a:8081,ftp://b");
    expect_conflict("wire.registry.url: http://host:port or https://host:port is wanted");
    cr_assert_not(strstr(error.text, "pass"));
    set("wire.registry.url", "http://a:8081");
    set("wire.registry.password", "p");
    expect_conflict("wire.registry.password is set without wire.registry.user");
    set("wire.registry.url", "http://a:8081");
    set("wire.registry.user", "u");
    set("wire.registry.token", "t");
    expect_conflict("wire.registry.user and wire.registry.token are both set");
    set("wire.registry.url", "http://a:8081");
    set("wire.registry.tls_cert", "/a.pem");
    expect_conflict("wire.registry.tls_cert and wire.registry.tls_key belong together");
    set("kafka.bootstrap.servers", "");
    expect_conflict("kafka.bootstrap.servers is empty");
    set("kafka.group.id", "");
    expect_conflict("kafka.group.id is empty");
    set("worker.window", "100");
    expect_conflict("worker.batch (500) is above worker.window (100)");
    set("cache.max_bytes", "1000");
    expect_conflict("cache.max_value_bytes (524288) is above cache.max_bytes (1000)");
    set("predictor.low_confidence", "0.9");
    expect_conflict("predictor.low_confidence (0.9) is above");
    set("host.claims", "run/claims");
    expect_conflict("host.claims = run/claims: a folder with its whole path is wanted");
}

Test(config, what_belongs_together_passes) {
    set("pool.prewarm", "react:15");
    set("pool.size.react", "15");
    set("wire.write", "confluent");
    set("wire.confluent_ids", "1=container-acquire");
    cr_assert_eq(wp_config_check(&config, &error), WP_OK, "%s", error.text);
}

Test(config, a_registry_gives_the_ids_to_write_with) {
    set("wire.write", "confluent");
    set("wire.registry.url", "http://a:8081, https://b/apis/ccompat/v7/");
    cr_assert_eq(wp_config_check(&config, &error), WP_OK, "%s", error.text);
}

Test(config, a_small_pool_needs_no_change_of_the_default_prewarm) {
    set("pool.size", "2");
    cr_assert_eq(wp_config_check(&config, &error), WP_OK, "%s", error.text);
}

/* ---- printing ---- */

Test(config, what_is_printed_can_be_read_again) {
    set("pool.size", "33");
    set("pool.size.react", "44");
    set("wire.read", "avro,json");
    set("tuning.mode", "off");
    set("predictor.buffer", "1.25");
    set("pool.prewarm", "react:1,x:2");
    set("kafka.linger.ms", "2");
    set("memory.enabled", "false");
    char *first = printed(NULL);
    wp_config_done(&config);
    wp_config_init(&config);
    expect_load(first);
    char *second = printed(NULL);
    cr_assert_str_eq(first, second);
    cr_assert_eq(config.pool.size, 33);
    cr_assert_eq(config.tuning.mode, WP_TUNING_OFF);
    cr_assert_eq(config.predictor.buffer, 1.25);
    cr_assert_not_null(strstr(first, "[pool]\n"));
    cr_assert_not_null(strstr(first, "\nsize.react = 44\n"));
    free(first);
    free(second);
}

Test(config, passwords_are_masked_when_printed) {
    set("redis.url", "redis://worker:hunter2@redis:6379/0");
    set("redis.cache_url", "rediss://:hunter2/@x@cache");
    set("kafka.sasl.password", "hunter2");
    set("kafka.ssl.key.password", "hunter2");
    set("kafka.ssl.keystore.password", "hunter2");
    set("kafka.ssl.key.pem", "hunter2");
    set("kafka.sasl.oauthbearer.client.secret", "hunter2");
    char *text = printed(NULL);
    cr_assert_null(strstr(text, "hunter2"), "%s", text);
    cr_assert_not_null(strstr(text, "url = redis://worker:***@redis:6379/0\n"));
    cr_assert_not_null(strstr(text, "cache_url = rediss://:***@cache\n"));
    cr_assert_not_null(strstr(text, "sasl.password = ***\n"));
    free(text);
}

Test(config, an_error_about_a_value_shows_no_password) {
    static const char *const secrets[][2] = {{"redis.url", "redis://worker:hunter2\xe9@redis:6379"},
                                             {"kafka.sasl.password", "hunter2\xe9"}};
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
        cr_assert_eq(wp_config_set(&config, secrets[i][0], secrets[i][1], &error), WP_ERR_CONFIG);
        cr_assert_null(strstr(error.text, "hunter2"), "%s", error.text);
        cr_assert_not_null(strstr(error.text, "***"), "%s", error.text);
    }
}

Test(config, a_url_without_a_password_is_printed_as_it_is) {
    set("redis.url", "unix:///run/redis/redis.sock");
    set("redis.cache_url", "redis://worker@cache:6379");
    char *text = printed(NULL);
    cr_assert_not_null(strstr(text, "url = unix:///run/redis/redis.sock\n"));
    cr_assert_not_null(strstr(text, "cache_url = redis://worker@cache:6379\n"));
    free(text);
}

Test(config, help_lists_keys_with_default_unit_and_text) {
    char *text = printed(wp_config_print_help);
    cr_assert_not_null(
        strstr(text, "  pool.size = 10 (containers)\n      idle ones that a philosophy may have:"));
    cr_assert_not_null(strstr(text, "  cache.ttl.NAMESPACE = tool=600,pattern=300 (s)\n"));
    cr_assert_null(strchr(text, '`'));
    free(text);
}

Test(config, the_reference_in_docs_has_not_drifted) {
    char *expected = printed(wp_config_print_reference);
    struct wp_buf found = {0};
    FILE *file = fopen(SOURCE_DIR "/docs/configuration.md", "re");
    cr_assert_not_null(file);
    for (int c; (c = getc(file)) != EOF;) wp_buf_add(&found, &(char){(char)c}, 1);
    fclose(file);
    cr_assert(wp_str_is(wp_buf_str(&found), expected),
              "docs/configuration.md differs from the table; run: build/warmpool worker --reference > "
              "docs/configuration.md");
    wp_buf_done(&found);
    free(expected);
}

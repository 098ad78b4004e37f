/* Health of the consumer's Kafka and lag of its partitions. Requests that block run in the thread pool. */
#include "kafka/watch.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "core/log.h"
#include "kafka/oauth.h"

#define PROBE_TIMEOUT_MS 2000
#define GROUP_TIMEOUT_MS 5000
#define RIVAL_MS 2000   /* between two looks for the other member with our id */
#define REJOIN_MS 45000 /* a rebalance that takes longer is a trouble */
#define REASON_MAX 300
#define TOKEN_MAX 400

static const char *setting(const struct wp_watch *watch, const char *key, const char *otherwise) {
    const char *value = wp_settings_get(&watch->config->kafka, key);
    return value ? value : otherwise;
}

typedef void (*trouble_report)(struct wp_stats *stats, enum wp_trouble source, const char *text);

static void of_brokers(struct wp_watch *watch, const char *reason, trouble_report tell) {
    char text[REASON_MAX + TOKEN_MAX + 100];
    (void)snprintf(text, sizeof(text), "Kafka at %s: %s", setting(watch, "bootstrap.servers", ""), reason);
    tell(watch->stats, WP_TROUBLE_BROKERS, text);
}

static void of_group(struct wp_watch *watch, const char *reason, trouble_report tell) {
    char text[REASON_MAX];
    (void)snprintf(text, sizeof(text), "group %s (kafka.group.id): %s",
                   setting(watch, "group.id", "warmpool"), reason);
    tell(watch->stats, WP_TROUBLE_GROUP, text);
}

void wp_watch_init(struct wp_watch *watch, struct wp_client *client, const struct wp_partitions *table,
                   struct wp_stats *stats, const struct wp_config *config) {
    *watch = (struct wp_watch){.client = client, .table = table, .stats = stats, .config = config};
    of_brokers(watch, "connecting", wp_kafka_starts);
    of_group(watch, "not joined yet", wp_kafka_starts);
}

/* ---- the group ---- */

void wp_watch_joined(struct wp_watch *watch) {
    watch->joined = true;
    wp_kafka_trouble(watch->stats, WP_TROUBLE_GROUP, NULL);
}

void wp_watch_left(struct wp_watch *watch) {
    watch->joined = false;
    watch->left_ms = uv_now(watch->client->loop);
}

/* A worker that is not in the group consumes nothing, so it is not ready, whether or not an error says why.
 */
static void check_joined(struct wp_watch *watch) {
    if (watch->joined || watch->left_ms == 0 || *watch->stats->kafka_troubles[WP_TROUBLE_GROUP]) return;
    if (uv_now(watch->client->loop) - watch->left_ms > REJOIN_MS)
        of_group(watch, "it was left for a rebalance and could not be joined again since", wp_kafka_trouble);
}

struct rival { /* a request for the other member of the group that has our id */
    struct wp_client_work work;
    struct wp_watch *watch;
    char group[128], id[80], host[128]; /* host: the other member's; empty: there is none */
    bool answered;
};

static void fenced(struct wp_watch *watch, const char *rival) {
    char text[REASON_MAX], host[80] = "";
    (void)gethostname(host, sizeof(host) - 1);
    (void)snprintf(
        text, sizeof(text),
        "worker.id %s: another worker, at %s, joined the group %s with this id; this one (pid %ld on "
        "%s) was fenced and does nothing any more: stop it, or give it a worker.id of its own",
        watch->config->worker.id, rival, setting(watch, "group.id", "warmpool"), (long)getpid(), host);
    wp_kafka_trouble(watch->stats, WP_TROUBLE_FENCED, text);
}

static void find_rival(struct rival *rival, const struct rd_kafka_group_info *group) {
    size_t len = strlen(rival->id);
    for (int i = 0; i < group->member_cnt; i++) {
        const struct rd_kafka_group_member_info *member = &group->members[i];
        /* The broker makes a static member's id of its instance id, a dash, and something unique. */
        if (!member->member_id || strncmp(member->member_id, rival->id, len) != 0) continue;
        if (member->member_id[len] == '-' && member->client_host)
            (void)snprintf(rival->host, sizeof(rival->host), "%s",
                           member->client_host + (*member->client_host == '/'));
    }
}

static void rival_run(struct wp_client_work *work) {
    struct rival *rival = (struct rival *)work;
    const struct rd_kafka_group_list *list;
    if (rd_kafka_list_groups(work->client->rk, rival->group, &list, GROUP_TIMEOUT_MS)) return;
    rival->answered = list->group_cnt > 0 && !list->groups[0].err;
    if (rival->answered) find_rival(rival, &list->groups[0]);
    rd_kafka_group_list_destroy(list);
}

static void rival_done(struct wp_client_work *work, bool wanted) {
    struct rival *rival = (struct rival *)work;
    rival->watch->asking_rival = false;
    if (wanted && *rival->host) fenced(rival->watch, rival->host);
    if (wanted && rival->answered && !*rival->host) rival->watch->id_free = true;
    free(rival);
}

static void look_for_rival(struct wp_watch *watch) {
    if (watch->asking_rival || watch->id_free || watch->client->closing) return;
    struct rival *rival = wp_calloc(1, sizeof *rival);
    rival->watch = watch;
    (void)snprintf(rival->group, sizeof(rival->group), "%s", setting(watch, "group.id", "warmpool"));
    (void)snprintf(rival->id, sizeof(rival->id), "%s", watch->config->worker.id);
    rival->work.run = rival_run;
    rival->work.done = rival_done;
    watch->asking_rival = true;
    watch->rival_asked_ms = uv_now(watch->client->loop);
    wp_client_run(watch->client, &rival->work);
}

/* A fenced worker does not join again while the other member is there: two workers with one id would fence
 * each other for ever. But a broker also fences a worker that is alone: one that was frozen or cut off while
 * it joined has another member id there than here. That member is never heard of again, and is gone after
 * the session's timeout. */
static void on_fenced(struct wp_watch *watch) {
    if (watch->fenced) return;
    watch->fenced = true;
    fenced(watch, "an address not known");
    look_for_rival(watch);
}

static void look_again(struct wp_watch *watch) {
    if (watch->fenced && uv_now(watch->client->loop) - watch->rival_asked_ms >= RIVAL_MS)
        look_for_rival(watch);
}

/* ---- errors ---- */

/* Without a token no broker can be asked anything, whatever the connections say. */
static void brokers_away(struct wp_watch *watch, const char *reason) {
    char token[TOKEN_MAX], text[TOKEN_MAX + REASON_MAX];
    wp_oauth_failure(token, sizeof token);
    const char *why = *token ? token : *watch->trouble ? watch->trouble : reason;
    const char *mend = wp_kafka_mend(why);
    (void)snprintf(text, sizeof text, "%s%s%s", why, mend ? "; " : "", mend ? mend : "");
    of_brokers(watch, text, wp_kafka_trouble);
}

/* Errors of a single connection are only remembered, because another broker may answer. */
void wp_watch_error(struct wp_watch *watch, rd_kafka_resp_err_t err, const char *reason) {
    char text[REASON_MAX];
    if (err == RD_KAFKA_RESP_ERR__FATAL) {
        (void)snprintf(text, sizeof(text), "%s", reason);
        rd_kafka_resp_err_t cause = rd_kafka_fatal_error(watch->client->rk, text, sizeof(text));
        if (wp_kafka_fault(cause) == WP_FAULT_FENCED)
            on_fenced(watch);
        else
            wp_kafka_trouble(watch->stats, WP_TROUBLE_FENCED, text);
    } else if (wp_kafka_fault(err) == WP_FAULT_FENCED) {
        on_fenced(watch);
    } else if (wp_kafka_is_of_group(err)) {
        wp_kafka_explain(text, sizeof(text), err, watch->config, NULL);
        wp_kafka_trouble(watch->stats, WP_TROUBLE_GROUP, text);
    } else if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        brokers_away(watch, reason);
    } else {
        (void)snprintf(watch->trouble, sizeof(watch->trouble), "%s", reason);
    }
}

void wp_watch_partition(struct wp_watch *watch, struct wp_consumer_partition *p, rd_kafka_resp_err_t err) {
    if (!err)
        p->trouble[0] = '\0';
    else
        wp_kafka_explain(p->trouble, sizeof(p->trouble), err, watch->config, watch->table->names[p->topic]);
}

static void partitions_trouble(struct wp_watch *watch) {
    char text[REASON_MAX] = "";
    for (size_t i = 0; i < watch->table->count && !*text; i++) {
        const struct wp_consumer_partition *p = watch->table->list[i];
        if (*p->trouble)
            (void)snprintf(text, sizeof(text), "%s [%d]: %s", watch->table->names[p->topic], p->number,
                           p->trouble);
    }
    wp_kafka_trouble(watch->stats, WP_TROUBLE_PARTITIONS, text);
}

/* ---- the probe ---- */

struct probe {
    struct wp_client_work work;
    struct wp_watch *watch;
    rd_kafka_resp_err_t err;
    char topics[REASON_MAX]; /* the first topic or partition that cannot be used, and why */
};

static void note_topic(struct probe *probe, const rd_kafka_metadata_topic_t *topic) {
    if (topic->err) {
        wp_kafka_explain(probe->topics, sizeof(probe->topics), topic->err, probe->watch->config,
                         topic->topic);
        return;
    }
    for (int i = 0; i < topic->partition_cnt && !*probe->topics; i++)
        if (topic->partitions[i].leader < 0)
            (void)snprintf(probe->topics, sizeof(probe->topics),
                           "topic %s: partition %d has no leader; the others go on", topic->topic,
                           topic->partitions[i].id);
}

static void probe_run(struct wp_client_work *work) {
    struct probe *probe = (struct probe *)work;
    const rd_kafka_metadata_t *metadata;
    probe->err = rd_kafka_metadata(work->client->rk, 0, NULL, &metadata, PROBE_TIMEOUT_MS);
    if (probe->err) return;
    for (int i = 0; i < metadata->topic_cnt && !*probe->topics; i++) note_topic(probe, &metadata->topics[i]);
    rd_kafka_metadata_destroy(metadata);
}

static void probe_done(struct wp_client_work *work, bool wanted) {
    struct probe *probe = (struct probe *)work;
    struct wp_watch *watch = probe->watch;
    watch->probing = false;
    if (wanted && probe->err) {
        brokers_away(watch, rd_kafka_err2str(probe->err));
    } else if (wanted) {
        *watch->trouble = '\0';
        wp_kafka_trouble(watch->stats, WP_TROUBLE_TOPICS, probe->topics);
        wp_kafka_trouble(watch->stats, WP_TROUBLE_BROKERS, NULL);
    }
    free(probe);
}

static void probe_start(struct wp_watch *watch) {
    if (watch->probing || watch->client->closing) return;
    struct probe *probe = wp_calloc(1, sizeof *probe);
    probe->watch = watch;
    probe->work.run = probe_run;
    probe->work.done = probe_done;
    watch->probing = true;
    wp_client_run(watch->client, &probe->work);
}

/* ---- lag ---- */

/* The log's end is that of the latest fetch, or of the offset query before the first fetch. */
static int64_t lag_of(const struct wp_watch *watch, const struct wp_consumer_partition *p) {
    int64_t low = -1, high = -1;
    (void)rd_kafka_get_watermark_offsets(watch->client->rk, watch->table->names[p->topic], p->number, &low,
                                         &high);
    if (high < p->high) high = p->high;
    int64_t at = p->position;
    if (at < 0) at = p->low > low ? p->low : low;
    return high > at && at >= 0 ? high - at : 0;
}

static void measure_lag(struct wp_watch *watch) {
    int64_t lag[WP_TOPICS_IN] = {0};
    for (size_t i = 0; i < watch->table->count; i++)
        lag[watch->table->list[i]->topic] += lag_of(watch, watch->table->list[i]);
    memcpy(watch->stats->lag, lag, sizeof(lag));
}

void wp_watch_tick(struct wp_watch *watch) {
    measure_lag(watch);
    check_joined(watch);
    partitions_trouble(watch);
    probe_start(watch);
    look_again(watch);
}

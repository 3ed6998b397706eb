// SPDX-License-Identifier: BSD-3-Clause
// One table row a metric: its name, type, help, labels, and the function that writes its samples.
// Text format: https://prometheus.io/docs/instrumenting/exposition_formats/ (0.0.4).
#include "lib/control/metrics.hh"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "lib/control/json.hh"

namespace weir {
namespace {

using Label = std::pair<std::string_view, std::string_view>;
using Labels = std::initializer_list<Label>;

std::string escape(std::string_view value) {
    std::string result;
    result.reserve(value.size());
    for (const char c : value) {
        if (c == '\\' || c == '"') result += '\\';
        if (c == '\n') {
            result += "\\n";
        } else {
            result += c;
        }
    }
    return result;
}

// Writes the samples of one family; its head is written with the first of them, so that a metric
// that nothing fills is absent.
class Writer {
public:
    Writer(std::string& out, const MetricInfo& info) : out_(out), info_(info) {}

    void sample(Labels labels, std::uint64_t value) { line("", labels, fmt::format("{}", value)); }
    void sample(Labels labels, double value) { line("", labels, fmt::format("{}", value)); }
    void sample(Labels labels, bool value) { line("", labels, value ? "1" : "0"); }

    // `buckets`: cumulative by probe_duration_bounds, then the count of all.
    void histogram(Label label, const std::vector<std::uint64_t>& buckets, double sum) {
        if (buckets.size() != probe_duration_bounds.size() + 1) return;
        for (std::size_t i = 0; i < buckets.size(); ++i) {
            const std::string bound = i < probe_duration_bounds.size()
                                          ? fmt::format("{}", probe_duration_bounds[i])
                                          : std::string("+Inf");
            line("_bucket", {label, {"le", bound}}, fmt::format("{}", buckets[i]));
        }
        line("_sum", {label}, fmt::format("{}", sum));
        line("_count", {label}, fmt::format("{}", buckets.back()));
    }

private:
    void line(std::string_view suffix, Labels labels, std::string_view value) {
        if (!headed_) {
            fmt::format_to(std::back_inserter(out_), "# HELP {} {}\n# TYPE {} {}\n", info_.name,
                           info_.help, info_.name, info_.type);
            headed_ = true;
        }
        out_ += info_.name;
        out_ += suffix;
        char separator = '{';
        for (const auto& [key, text] : labels) {
            fmt::format_to(std::back_inserter(out_), "{}{}=\"{}\"", separator, key, escape(text));
            separator = ',';
        }
        if (separator == ',') out_ += '}';
        fmt::format_to(std::back_inserter(out_), " {}\n", value);
    }

    std::string& out_;
    const MetricInfo& info_;
    bool headed_ = false;
};

void build_info(Writer& out, const InstanceView& view) {
    out.sample({{"version", view.version}, {"dpdk_version", view.dpdk_version}}, true);
}
void start_time(Writer& out, const InstanceView& view) {
    out.sample({}, view.start_timestamp);
}

template <std::uint64_t TrafficView::*figure>
void service_traffic(Writer& out, const InstanceView& view) {
    for (const auto& service : view.services) {
        out.sample({{"service", service.name}, {"family", service.family}},
                   service.traffic.*figure);
    }
}

template <std::uint64_t TrafficView::*figure>
void backend_traffic(Writer& out, const InstanceView& view) {
    for (const auto& service : view.services) {
        for (const auto& backend : service.backends) {
            out.sample({{"service", service.name}, {"backend", backend.name}},
                       backend.traffic.*figure);
        }
    }
}

void service_backends(Writer& out, const InstanceView& view) {
    for (const auto& service : view.services) {
        const BackendCounts counts = count_backends(service);
        for (std::size_t i = 0; i < counts.size(); ++i) {
            out.sample({{"service", service.name}, {"state", backend_view_states[i]}}, counts[i]);
        }
    }
}

void backend_up(Writer& out, const InstanceView& view) {
    for (const auto& service : view.services) {
        for (const auto& backend : service.backends) {
            out.sample({{"service", service.name}, {"backend", backend.name}},
                       backend_is_up(backend));
        }
    }
}

void backend_weight(Writer& out, const InstanceView& view) {
    for (const auto& service : view.services) {
        for (const auto& backend : service.backends) {
            out.sample({{"service", service.name}, {"backend", backend.name}},
                       std::uint64_t{backend.weight});
        }
    }
}

// By service: a histogram for each of many backends would be thousands of series.
void probe_durations(Writer& out, const InstanceView& view) {
    struct Sum {
        std::vector<std::uint64_t> buckets =
            std::vector<std::uint64_t>(probe_duration_bounds.size() + 1);
        double seconds = 0;
    };
    std::map<std::string_view, Sum> sums;
    for (const auto& health : view.health) {
        Sum& sum = sums[health.service];
        const std::size_t count = std::min(sum.buckets.size(), health.duration_buckets.size());
        for (std::size_t i = 0; i < count; ++i)
            sum.buckets[i] += health.duration_buckets[i];
        sum.seconds += health.duration_sum;
    }
    for (const auto& [service, sum] : sums) {
        out.histogram({"service", service}, sum.buckets, sum.seconds);
    }
}

void probes(Writer& out, const InstanceView& view) {
    for (const auto& health : view.health) {
        out.sample(
            {{"service", health.service}, {"backend", health.backend}, {"result", "success"}},
            health.successes);
        out.sample(
            {{"service", health.service}, {"backend", health.backend}, {"result", "failure"}},
            health.failures);
    }
}

void health_transitions(Writer& out, const InstanceView& view) {
    for (const auto& health : view.health) {
        out.sample({{"service", health.service}, {"backend", health.backend}}, health.transitions);
    }
}

template <std::uint64_t WorkerView::*figure, bool workers_only>
void worker_figure(Writer& out, const InstanceView& view) {
    for (const auto& worker : view.workers) {
        if (!workers_only || worker.is_worker)
            out.sample({{"worker", worker.name}}, worker.*figure);
    }
}

template <double WorkerView::*figure>
void worker_seconds(Writer& out, const InstanceView& view) {
    for (const auto& worker : view.workers)
        out.sample({{"worker", worker.name}}, worker.*figure);
}

template <std::uint64_t InstanceView::*figure>
void instance_figure(Writer& out, const InstanceView& view) {
    out.sample({}, view.*figure);
}

void punted(Writer& out, const InstanceView& view) {
    for (std::size_t i = 0; i < punt_class_count; ++i) {
        out.sample({{"class", punt_class_names[i]}}, view.punted_by_class[i]);
    }
}

void icmp_errors_sent(Writer& out, const InstanceView& view) {
    for (std::size_t i = 0; i < icmp_error_type_count; ++i)
        out.sample({{"type", icmp_error_type_names[i]}}, view.icmp_errors_sent[i]);
}

void dropped(Writer& out, const InstanceView& view) {
    for (const auto& drop : view.drops)
        out.sample({{"reason", drop.reason}}, drop.packets);
}

template <auto PortView::*figure>
void port_figure(Writer& out, const InstanceView& view) {
    for (const auto& port : view.ports)
        out.sample({{"port", port.name}}, port.*figure);
}

void exception_packets(Writer& out, const InstanceView& view) {
    for (const auto& port : view.ports) {
        if (port.tap.empty()) continue;
        out.sample({{"port", port.name}, {"direction", "to_port"}}, port.tap_to_port);
        out.sample({{"port", port.name}, {"direction", "to_tap"}}, port.port_to_tap);
    }
}

void probe_packets(Writer& out, const InstanceView& view) {
    for (const auto& port : view.ports) {
        if (port.tap.empty()) continue;
        out.sample({{"port", port.name}, {"direction", "out"}}, port.probe_out);
        out.sample({{"port", port.name}, {"direction", "in"}}, port.probe_in);
    }
}

void neighbors(Writer& out, const InstanceView& view) {
    std::map<std::string_view, std::array<std::uint64_t, 2>> by_port;
    for (const auto& neighbor : view.neighbors)
        ++by_port[neighbor.port][neighbor.resolved ? 1 : 0];
    for (const auto& [port, counts] : by_port) {
        out.sample({{"port", port}, {"state", "resolved"}}, counts[1]);
        out.sample({{"port", port}, {"state", "unresolved"}}, counts[0]);
    }
}

template <typename Named>
void pool_like(Writer& out, const std::vector<Named>& values, std::string_view label,
               std::uint64_t Named::*figure) {
    for (const auto& value : values)
        out.sample({{label, value.name}}, value.*figure);
}
template <std::uint64_t PoolView::*figure>
void pool_figure(Writer& out, const InstanceView& view) {
    pool_like(out, view.pools, "pool", figure);
}
template <std::uint64_t RingView::*figure>
void ring_figure(Writer& out, const InstanceView& view) {
    pool_like(out, view.rings, "ring", figure);
}

void last_reload(Writer& out, const InstanceView& view) {
    out.sample({}, view.last_reload_ok);
}

using T = TrafficView;
using W = WorkerView;
using P = PortView;
using V = InstanceView;

struct Metric {
    MetricInfo info;
    void (*write)(Writer&, const InstanceView&);
};

constexpr std::string_view counter = "counter", gauge = "gauge", histogram = "histogram";
constexpr std::string_view of_service = "service,family", of_backend = "service,backend";

// clang-format off
constexpr auto metrics = std::to_array<Metric>({
    {{"weir_build_info", gauge, "Always 1; the labels tell the versions.", "version,dpdk_version"}, build_info},
    {{"weir_start_time_seconds", gauge, "Unix time at which this process started.", ""}, start_time},
    {{"weir_config_generation", gauge, "Configurations loaded so far; the first is 1.", ""}, instance_figure<&V::config_generation>},
    {{"weir_config_last_reload_successful", gauge, "1 when the last reload, if any, succeeded.", ""}, last_reload},
    {{"weir_tables_published_total", counter, "Tables given to the workers so far, for whatever cause.", ""}, instance_figure<&V::tables_version>},

    {{"weir_received_packets_total", counter, "Packets taken from ports. At rest: sent + punted + dropped.", ""}, instance_figure<&V::received>},
    {{"weir_sent_packets_total", counter, "Received packets that were sent on, to backends or as replies to clients.", ""}, instance_figure<&V::sent>},
    {{"weir_punted_packets_total", counter, "Received packets given to the kernel, by class.", "class"}, punted},
    {{"weir_injected_packets_total", counter, "Packets sent that were not received: for the kernel, health probes included, ICMP errors of our own, and later fragments of what we cut.", ""}, instance_figure<&V::injected>},
    {{"weir_fragmented_packets_total", counter, "Sent packets that were too long for the egress MTU and left in fragments.", ""}, instance_figure<&V::fragmented>},
    {{"weir_dropped_packets_total", counter, "Received packets dropped, by reason.", "reason"}, dropped},
    {{"weir_icmp_errors_sent_total", counter, "Dropped packets whose sender was told by an ICMP error, by its type.", "type"}, icmp_errors_sent},

    {{"weir_service_packets_total", counter, "Packets from clients to the service.", of_service}, service_traffic<&T::packets>},
    {{"weir_service_bytes_total", counter, "Bytes of IP packets from clients to the service.", of_service}, service_traffic<&T::bytes>},
    {{"weir_service_new_flows_total", counter, "Flows that began at the service.", of_service}, service_traffic<&T::new_flows>},
    {{"weir_service_active_flows", gauge, "Flows of the service in the connection tables.", of_service}, service_traffic<&T::active_flows>},
    {{"weir_service_backends", gauge, "Backends of the service in each state.", "service,state"}, service_backends},
    {{"weir_backend_up", gauge, "0 when disabled or taken down by its health check, else 1.", of_backend}, backend_up},
    {{"weir_backend_weight", gauge, "Configured weight.", of_backend}, backend_weight},
    {{"weir_backend_active_flows", gauge, "Flows of the backend in the connection tables.", of_backend}, backend_traffic<&T::active_flows>},
    {{"weir_backend_packets_total", counter, "Packets sent to the backend.", of_backend}, backend_traffic<&T::packets>},
    {{"weir_backend_bytes_total", counter, "Bytes of IP packets for the backend, as the client sent them.", of_backend}, backend_traffic<&T::bytes>},
    {{"weir_backend_new_flows_total", counter, "Flows that began at the backend.", of_backend}, backend_traffic<&T::new_flows>},

    {{"weir_health_probe_duration_seconds", histogram, "Duration of health probes, whatever their result.", "service"}, probe_durations},
    {{"weir_health_probes_total", counter, "Health probes by result.", "service,backend,result"}, probes},
    {{"weir_health_transitions_total", counter, "Times that the health check changed its mind between up and down.", of_backend}, health_transitions},

    {{"weir_conntrack_entries", gauge, "Entries in use in the worker's connection tables.", "worker"}, worker_figure<&W::flow_entries, true>},
    {{"weir_conntrack_capacity", gauge, "Entries that the worker's connection tables can hold: IPv4, IPv6 and port ranges.", "worker"}, worker_figure<&W::flow_capacity, true>},
    {{"weir_conntrack_insert_failed_total", counter, "New flows that found no place in the connection table.", "worker"}, worker_figure<&W::flow_insert_failed, true>},

    {{"weir_port_up", gauge, "1 when the port has link.", "port"}, port_figure<&P::up>},
    {{"weir_port_rx_packets_total", counter, "Packets received by the port.", "port"}, port_figure<&P::rx_packets>},
    {{"weir_port_rx_bytes_total", counter, "Bytes received by the port.", "port"}, port_figure<&P::rx_bytes>},
    {{"weir_port_tx_packets_total", counter, "Packets sent by the port.", "port"}, port_figure<&P::tx_packets>},
    {{"weir_port_tx_bytes_total", counter, "Bytes sent by the port.", "port"}, port_figure<&P::tx_bytes>},
    {{"weir_port_rx_missed_packets_total", counter, "Packets lost because the receive queue was full.", "port"}, port_figure<&P::rx_missed>},
    {{"weir_port_rx_nombuf_packets_total", counter, "Receive attempts that found no packet buffer.", "port"}, port_figure<&P::rx_nombuf>},
    {{"weir_port_tx_full_packets_total", counter, "Packets dropped because the transmit queue was full.", "port"}, port_figure<&P::tx_full>},
    {{"weir_port_exception_packets_total", counter, "Packets between the port and its exception TAP.", "port,direction"}, exception_packets},
    {{"weir_port_probe_packets_total", counter, "Health probe packets seen crossing the port.", "port,direction"}, probe_packets},
    {{"weir_neighbors", gauge, "Next hops that the configuration and the kernel's routes need, and clients that were looked up, by whether their MAC is known.", "port,state"}, neighbors},

    {{"weir_mempool_free_mbufs", gauge, "Packet buffers free in the pool.", "pool"}, pool_figure<&PoolView::free>},
    {{"weir_mempool_size_mbufs", gauge, "Packet buffers of the pool.", "pool"}, pool_figure<&PoolView::size>},
    {{"weir_ring_used_slots", gauge, "Slots in use in the ring.", "ring"}, ring_figure<&RingView::used>},
    {{"weir_ring_size_slots", gauge, "Slots of the ring.", "ring"}, ring_figure<&RingView::size>},

    {{"weir_worker_busy_seconds_total", counter, "Time spent in loops that found work.", "worker"}, worker_seconds<&W::busy_seconds>},
    {{"weir_worker_last_loop_timestamp_seconds", gauge, "Unix time of the last loop; it stands still when the lcore is stuck.", "worker"}, worker_seconds<&W::last_loop_timestamp>},
    {{"weir_worker_received_packets_total", counter, "Packets that this lcore took from ports.", "worker"}, worker_figure<&W::received, false>},
    {{"weir_worker_handed_over_packets_total", counter, "Packets passed to the ring of their owner.", "worker"}, worker_figure<&W::handed_over, false>},
    {{"weir_worker_handed_in_packets_total", counter, "Packets taken from rings of other lcores.", "worker"}, worker_figure<&W::handed_in, false>},
});
// clang-format on

constexpr auto infos = [] {
    std::array<MetricInfo, metrics.size()> result{};
    std::ranges::transform(metrics, result.begin(), &Metric::info);
    return result;
}();

}  // namespace

std::span<const MetricInfo> metric_infos() {
    return infos;
}

bool backend_is_up(const BackendView& backend) {
    return backend.state != "down" && backend.state != "disabled";
}

std::string to_prometheus(const InstanceView& view) {
    std::string out;
    for (const auto& metric : metrics) {
        Writer writer(out, metric.info);
        metric.write(writer, view);
    }
    return out;
}

}  // namespace weir

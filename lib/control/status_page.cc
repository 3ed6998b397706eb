// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/status_page.hh"

#include <initializer_list>

#include <fmt/format.h>

namespace weir {
namespace {

// A page is for eyes; /api/v1 has everything.
constexpr std::size_t most_rows = 500;

constexpr std::string_view head = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Weir</title><style>
body{font:14px/1.4 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em;color:#222}
h1{font-size:1.4em}h2{font-size:1.1em;margin:1.5em 0 .3em}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.15em .8em .15em 0;border-bottom:1px solid #ddd}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.up{color:#060}.down{color:#b00;font-weight:bold}.warn{color:#a50}
</style></head><body>
)";

std::string escape(std::string_view text) {
    std::string result;
    for (const char c : text) {
        switch (c) {
            case '&':
                result += "&amp;";
                break;
            case '<':
                result += "&lt;";
                break;
            case '>':
                result += "&gt;";
                break;
            case '"':
                result += "&quot;";
                break;
            default:
                result += c;
        }
    }
    return result;
}

struct Cell {
    std::string text;
    std::string_view css = {};
    Cell(std::string value, std::string_view css_class = {})
        : text(escape(value)), css(css_class) {}
    Cell(std::uint64_t value) : text(fmt::format("{}", value)), css("n") {}
};

class Page {
public:
    Page() : html_(head) {}

    void line(std::string_view element, std::string_view css, std::string_view text) {
        add("<{} class=\"{}\">{}</{}>\n", element, css, escape(text), element);
    }
    // Column titles that begin with '#' are numbers.
    void begin(std::string_view title, std::initializer_list<std::string_view> columns) {
        add("<h2>{}</h2><table><tr>", escape(title));
        for (const auto column : columns) {
            const bool number = column.starts_with('#');
            add("<th{}>{}</th>", number ? " class=\"n\"" : "", column.substr(number ? 1 : 0));
        }
        html_ += "</tr>\n";
        rows_ = left_out_ = 0;
    }
    void row(std::initializer_list<Cell> cells) {
        if (++rows_ > most_rows) {
            ++left_out_;
            return;
        }
        html_ += "<tr>";
        for (const auto& cell : cells)
            add("<td class=\"{}\">{}</td>", cell.css, cell.text);
        html_ += "</tr>\n";
    }
    void end() {
        html_ += "</table>\n";
        if (left_out_ > 0) line("p", "warn", fmt::format("and {} more: see /api/v1", left_out_));
    }
    std::string finish() {
        html_ +=
            "<p><a href=\"/metrics\">/metrics</a> <a href=\"/healthz\">/healthz</a> "
            "<a href=\"/api/v1/status\">/api/v1/status</a></p></body></html>\n";
        return std::move(html_);
    }

private:
    template <typename... Args>
    void add(fmt::format_string<Args...> format, Args&&... args) {
        fmt::format_to(std::back_inserter(html_), format, std::forward<Args>(args)...);
    }
    std::string html_;
    std::size_t rows_ = 0, left_out_ = 0;
};

void add_services(Page& page, const InstanceView& view) {
    page.begin("Services", {"Service", "Address", "Forward", "Backend", "State", "Last probe",
                            "#Weight", "#Slots", "#Active flows", "#Packets", "#Bytes"});
    for (const auto& service : view.services) {
        const auto address = fmt::format("{} {} {}", service.vip, service.protocol, service.ports);
        page.row({service.name, address, service.forward, std::string(), std::string(),
                  std::string(), std::string(), service.table_size, service.traffic.active_flows,
                  service.traffic.packets, service.traffic.bytes});
        for (const auto& backend : service.backends) {
            page.row({std::string(), to_string(backend.address), std::string(), backend.name,
                      Cell(backend.state, backend.state == "down" ? "down" : "up"),
                      backend.check_detail, backend.weight, backend.slots,
                      backend.traffic.active_flows, backend.traffic.packets,
                      backend.traffic.bytes});
        }
    }
    page.end();
}

void add_ports(Page& page, const InstanceView& view) {
    page.begin("Ports", {"Port", "Device", "Link", "MAC", "TAP", "#RX packets", "#TX packets",
                         "#RX missed", "#No buffer", "#TX full"});
    for (const auto& port : view.ports) {
        page.row({port.name, port.device, Cell(port.up ? "up" : "down", port.up ? "up" : "down"),
                  port.mac, port.tap, port.rx_packets, port.tx_packets, port.rx_missed,
                  port.rx_nombuf, port.tx_full});
    }
    page.end();
}

void add_workers(Page& page, const InstanceView& view) {
    page.begin("Workers", {"Worker", "#CPU", "#Received", "#Handed over", "#Handed in", "#Sent",
                           "#Punted", "#Dropped", "#Flows", "#Capacity"});
    for (const auto& worker : view.workers) {
        page.row({worker.name, worker.cpu, worker.received, worker.handed_over, worker.handed_in,
                  worker.sent, worker.punted, worker.dropped, worker.flow_entries,
                  worker.flow_capacity});
    }
    page.end();
}

void add_drops(Page& page, const InstanceView& view) {
    page.begin("Drops", {"Reason", "#Packets", "Meaning"});
    for (const auto& drop : view.drops) {
        if (drop.packets > 0) page.row({drop.reason, drop.packets, drop.help});
    }
    page.end();
}

void add_neighbors(Page& page, const InstanceView& view) {
    page.begin("Neighbours", {"Port", "Address", "MAC", "State"});
    for (const auto& neighbor : view.neighbors) {
        page.row({neighbor.port, neighbor.address, neighbor.mac,
                  Cell(neighbor.state, neighbor.resolved ? "up" : "down")});
    }
    page.end();
}

}  // namespace

std::string status_page(const InstanceView& view) {
    Page page;
    page.line("h1", "", fmt::format("Weir {}", view.name));
    page.line("p", "",
              fmt::format("Version {}, DPDK {}, pid {}, up {:.0f} s. Configuration {} (generation "
                          "{}).",
                          view.version, view.dpdk_version, view.pid, view.uptime_seconds,
                          view.config_path, view.config_generation));
    page.line("p", "",
              fmt::format("Packets: {} received, {} sent, {} to the kernel, {} dropped.",
                          view.received, view.sent, view.punted, view.dropped));
    if (!view.last_reload_ok) {
        page.line("p", "down", "The last reload failed: " + view.last_reload_error);
    }
    for (const auto& warning : view.warnings)
        page.line("p", "warn", warning);
    add_services(page, view);
    add_ports(page, view);
    add_workers(page, view);
    add_drops(page, view);
    add_neighbors(page, view);
    return page.finish();
}

}  // namespace weir

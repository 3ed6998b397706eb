// SPDX-License-Identifier: BSD-3-Clause
// The routes of the API (see api.hh): which request asks what of the controller, and how it is
// answered. Without I/O; control thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "lib/control/api.hh"
#include "lib/control/controller.hh"
#include "lib/control/flow_inspector.hh"
#include "lib/control/view.hh"

namespace weir {

// What the routes ask for.
struct ApiActions {
    // Fresh; `scope` names what must be in it, more may be.
    std::function<std::shared_ptr<const InstanceView>(const ViewScope& scope)> view;
    std::function<std::shared_ptr<const Config>()> config;
    std::function<void(const std::string& path, std::function<void(const ReloadOutcome&)>)> reload;
    // Precondition: the backend is in the configuration. `done` after publication.
    std::function<void(const std::string& service, const std::string& backend, BackendState,
                       std::function<void()> done)>
        set_state;
    std::function<void(FlowQuery, ApiReply)> flows;
};

void route(const ApiActions& actions, const ApiRequest& request, ApiReply reply);

// GET /healthz: 200 when tables are published and every lcore looped within 5 s, else 503 with the
// reason.
ApiResponse healthz(const InstanceView& view);

}  // namespace weir

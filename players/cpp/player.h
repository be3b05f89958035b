// One robot with its controller in MuJoCo, by the rules of tabrl.exporter.v1.ControllerManifest and nothing else.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "graph.h"
#include "manifest.h"

struct mjData_;
struct mjModel_;

namespace tabrl {

// One tick of an episode.
struct Tick {
  int step;       // control periods since the reset
  double reward;  // of the control period that lies behind
  bool done;      // whether the environment would end the episode here
  Values ctrl;    // to be held through the coming control period, [nu]
  Values qpos;    // that it was decided from, [nq]
};

class Player {
 public:
  // Loads a folder with manifest.json, controller.onnx and scene/scene.xml. Throws ControllerError.
  explicit Player(const std::filesystem::path& folder);

  // Plays one episode without noise, and gives each tick to `watch` until that returns false. The last tick is the one
  // with done, or the one after `episode_length` periods. `held` are carry entries that stay at these values.
  void episode(std::size_t reset, const NamedValues& held, const std::function<bool(const Tick&)>& watch);

 private:
  Manifest manifest_;
  Graph graph_;
  std::unique_ptr<mjModel_, void (*)(mjModel_*)> model_;
  std::unique_ptr<mjData_, void (*)(mjData_*)> data_;

  void check_model() const;
  void check_held(const NamedValues& held) const;
  void write(const std::string& field, const Values& values);
  NamedValues read() const;  // what the graph reads of mjData, as it stands, by mjData name
  NamedValues feed(const NamedValues& now, const NamedValues& earlier, const NamedValues& carry) const;
};

}  // namespace tabrl

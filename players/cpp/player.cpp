#include "player.h"

#include <mujoco/mjxmacro.h>
#include <mujoco/mujoco.h>

#include <algorithm>
#include <cmath>
#include <sstream>

namespace tabrl {
namespace {

struct Array {
  mjtNum* data;
  std::size_t size;
};

// Finds an mjData array by its name.
Array array(const mjModel* m, mjData* d, const std::string& name) {
  if (name == "time") return {&d->time, 1};
#define X(type, field, rows, columns)                                      \
  if constexpr (std::is_same_v<type, mjtNum>) {                            \
    if (name == #field) {                                                  \
      return {reinterpret_cast<mjtNum*>(d->field),                         \
              static_cast<std::size_t>(m->rows) * static_cast<std::size_t>(columns)}; \
    }                                                                      \
  }
  MJDATA_POINTERS
#undef X
  throw ControllerError(name, "this MuJoCo has no such array of numbers in mjData");
}

// Compares versions such as 3.17.0 number by number.
bool before(const std::string& left, const std::string& right) {
  const auto numbers = [](const std::string& version) {
    std::vector<int> parts;
    std::istringstream stream(version);
    for (std::string part; std::getline(stream, part, '.');) parts.push_back(std::atoi(part.c_str()));
    return parts;
  };
  return numbers(left) < numbers(right);
}

}  // namespace

Player::Player(const std::filesystem::path& folder)
    : manifest_(read_manifest(folder / "manifest.json")),
      graph_(folder / "controller.onnx", manifest_),
      model_(nullptr, mj_deleteModel),
      data_(nullptr, mj_deleteData) {
  if (manifest_.mujoco_versions) {
    const auto& [minimum, below] = *manifest_.mujoco_versions;
    const std::string here = mj_versionString();
    if (before(here, minimum) || (!below.empty() && !before(here, below))) {
      throw ControllerError("mujoco_versions", "this is MuJoCo " + here + ", the controller needs one from " + minimum +
                                                   " to below " + below);
    }
  }
  char message[1000] = "";
  model_.reset(mj_loadXML((folder / "scene" / "scene.xml").c_str(), nullptr, message, sizeof message));
  if (!model_) throw ControllerError("scene/scene.xml", message);
  check_model();
  // A simulation that diverges keeps its NaNs, as in training, so that the environment can end the episode.
  model_->opt.disableflags |= mjDSBL_AUTORESET;
  data_.reset(mj_makeData(model_.get()));
}

void Player::episode(std::size_t reset, const NamedValues& held, const std::function<bool(const Tick&)>& watch) {
  check_held(held);
  const ResetState& start = manifest_.resets[reset % manifest_.resets.size()];
  mj_resetData(model_.get(), data_.get());
  for (const auto& [field, values] : start.data) write(field, values);
  mj_forward(model_.get(), data_.get());

  NamedValues carry = held;
  carry.insert(start.carry.begin(), start.carry.end());
  NamedValues earlier = read();
  for (int step = 0; step <= manifest_.episode_length; ++step) {
    // No mj_forward here: it would show the graph another moment than the one it was trained on.
    NamedValues now = read();
    const NamedValues inputs = feed(now, earlier, carry);
    const NamedValues outputs = graph_.run(inputs);
    const Values& ctrl = outputs.at(manifest_.output(OutputRole::kCtrl).tensor.name);
    const double reward = outputs.at(manifest_.output(OutputRole::kReward).tensor.name).at(0);
    const bool done = outputs.at(manifest_.output(OutputRole::kDone).tensor.name).at(0) != 0;
    const Array qpos = array(model_.get(), data_.get(), "qpos");
    if (!watch({step, reward, done, ctrl, Values(qpos.data, qpos.data + qpos.size)}) || done) return;

    NamedValues following = held;
    bool moved = false;
    for (const GraphOutput& output : manifest_.outputs) {
      const Values& value = outputs.at(output.tensor.name);
      if (output.role == OutputRole::kCarry) following.emplace(output.field, value);
      if (output.role == OutputRole::kState) write(output.field, value), moved = true;
    }
    for (const CarryCopy& copy : manifest_.copies) following.emplace(copy.field, inputs.at(copy.input));
    following.insert(carry.begin(), carry.end());  // the entries that nothing has changed
    carry = std::move(following);
    earlier = moved ? read() : std::move(now);
    write("ctrl", ctrl);
    for (int i = 0; i < manifest_.physics_steps_per_control; ++i) mj_step(model_.get(), data_.get());
  }
}

void Player::check_model() const {
  const mjModel& m = *model_;
  const std::map<std::string, double> sizes = {
      {"nq", m.nq},       {"nv", m.nv},
      {"nu", m.nu},       {"na", m.na},
      {"nbody", m.nbody}, {"nsensordata", m.nsensordata},
      {"nmocap", m.nmocap}, {"timestep_secs", m.opt.timestep}};
  for (const auto& [name, expected] : manifest_.model_sizes) {
    if (std::abs(sizes.at(name) - expected) > 1e-12) {
      std::ostringstream what;
      what << "the scene has " << sizes.at(name) << ", the manifest says " << expected << "; this is another scene";
      throw ControllerError("model." + name, what.str());
    }
  }
}

void Player::check_held(const NamedValues& held) const {
  for (const auto& [name, values] : held) {
    const auto found = std::find_if(manifest_.inputs.begin(), manifest_.inputs.end(), [&](const GraphInput& input) {
      return input.source == InputSource::kCarry && input.field == name;
    });
    if (found == manifest_.inputs.end()) throw ControllerError(name, "the carry has no such entry to hold");
    if (values.size() != found->tensor.size()) {
      throw ControllerError(name, "has " + std::to_string(found->tensor.size()) + " elements, " +
                                      std::to_string(values.size()) + " were given");
    }
  }
}

void Player::write(const std::string& field, const Values& values) {
  const Array target = array(model_.get(), data_.get(), field);
  if (values.size() != target.size) {
    throw ControllerError(field, "the manifest gives " + std::to_string(values.size()) + " elements, the scene has " +
                                     std::to_string(target.size));
  }
  std::copy(values.begin(), values.end(), target.data);
}

NamedValues Player::read() const {
  NamedValues arrays;
  for (const GraphInput& input : manifest_.inputs) {
    if (input.source != InputSource::kData && input.source != InputSource::kDataBefore) continue;
    const Array source = array(model_.get(), data_.get(), input.field);
    arrays[input.field] = Values(source.data, source.data + source.size);
  }
  return arrays;
}

NamedValues Player::feed(const NamedValues& now, const NamedValues& earlier, const NamedValues& carry) const {
  NamedValues inputs;
  for (const GraphInput& input : manifest_.inputs) {
    Values& value = inputs[input.tensor.name];
    switch (input.source) {
      case InputSource::kData: value = now.at(input.field); break;
      case InputSource::kDataBefore: value = earlier.at(input.field); break;
      case InputSource::kUniform: value.assign(input.tensor.size(), 0.5); break;
      case InputSource::kNormal: value.assign(input.tensor.size(), 0.0); break;
      case InputSource::kCarry:
        const auto found = carry.find(input.field);
        if (found == carry.end()) throw ControllerError(input.field, "the reset state has no such carry entry");
        value = found->second;
    }
  }
  return inputs;
}

}  // namespace tabrl

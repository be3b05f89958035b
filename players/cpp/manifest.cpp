#include "manifest.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

namespace tabrl {
namespace {

using nlohmann::json;

const std::map<std::string, DataType> kDataTypes = {{"DATA_TYPE_FLOAT32", DataType::kFloat32},
                                                    {"DATA_TYPE_INT32", DataType::kInt32},
                                                    {"DATA_TYPE_UINT32", DataType::kUint32},
                                                    {"DATA_TYPE_BOOL", DataType::kBool}};
const std::map<std::string, InputSource> kSources = {{"INPUT_SOURCE_DATA", InputSource::kData},
                                                     {"INPUT_SOURCE_DATA_BEFORE", InputSource::kDataBefore},
                                                     {"INPUT_SOURCE_CARRY", InputSource::kCarry},
                                                     {"INPUT_SOURCE_UNIFORM", InputSource::kUniform},
                                                     {"INPUT_SOURCE_NORMAL", InputSource::kNormal}};
const std::map<std::string, OutputRole> kRoles = {
    {"OUTPUT_ROLE_CTRL", OutputRole::kCtrl},     {"OUTPUT_ROLE_ACTION", OutputRole::kAction},
    {"OUTPUT_ROLE_CARRY", OutputRole::kCarry},   {"OUTPUT_ROLE_OBSERVATION", OutputRole::kObservation},
    {"OUTPUT_ROLE_REWARD", OutputRole::kReward}, {"OUTPUT_ROLE_TERM", OutputRole::kTerm},
    {"OUTPUT_ROLE_DONE", OutputRole::kDone},     {"OUTPUT_ROLE_STATE", OutputRole::kState},
    {"OUTPUT_ROLE_PUSH", OutputRole::kPush}};

// Protobuf JSON leaves out what has its default value, so every field may be absent.
const json& list(const json& message, const char* name) {
  static const json kEmpty = json::array();
  const auto found = message.find(name);
  return found == message.end() ? kEmpty : *found;
}

template <class T>
T named(const std::map<std::string, T>& known, const json& message, const char* field) {
  const std::string name = message.value(field, "");
  const auto found = known.find(name);
  if (found == known.end()) throw ControllerError(field, "\"" + name + "\" is nothing that this player knows");
  return found->second;
}

TensorSpec tensor_spec(const json& message) {
  const json& tensor = message.at("tensor");
  return {tensor.value("name", ""), list(tensor, "shape").get<std::vector<std::int64_t>>(),
          named(kDataTypes, tensor, "dtype")};
}

// A tensor's elements are floats: what the decimal says is rounded to float32 first. NaN and infinity are strings.
NamedValues tensors(const json& message) {
  NamedValues arrays;
  for (const auto& [name, tensor] : message.items()) {
    Values& values = arrays[name];
    for (const json& value : list(tensor, "values")) {
      const double number = !value.is_string()           ? value.get<double>()
                            : value == "NaN"             ? std::numeric_limits<double>::quiet_NaN()
                            : value == "-Infinity"       ? -std::numeric_limits<double>::infinity()
                                                         : std::numeric_limits<double>::infinity();
      values.push_back(static_cast<float>(number));
    }
  }
  return arrays;
}

Manifest manifest_of(const json& message) {
  const int specification = message.value("specification", 0);
  if (specification != 1) {
    throw ControllerError("specification", "is " + std::to_string(specification) + "; this player knows 1");
  }
  Manifest manifest;
  manifest.physics_steps_per_control = message.value("physicsStepsPerControl", 0);
  manifest.episode_length = message.value("episodeLength", 0);
  for (const json& entry : list(message, "inputs")) {
    manifest.inputs.push_back({tensor_spec(entry), named(kSources, entry, "source"), entry.value("field", "")});
  }
  for (const json& entry : list(message, "outputs")) {
    manifest.outputs.push_back({tensor_spec(entry), named(kRoles, entry, "role"), entry.value("field", "")});
  }
  for (const json& entry : list(message, "copies")) {
    manifest.copies.push_back({entry.value("field", ""), entry.value("input", "")});
  }
  for (const json& entry : list(message, "resets")) {
    manifest.resets.push_back({tensors(list(entry, "data")), tensors(list(entry, "carry"))});
  }
  if (const auto range = message.find("mujocoVersions"); range != message.end()) {
    manifest.mujoco_versions = {range->value("minimum", ""), range->value("below", "")};
  }
  if (const auto sizes = message.find("model"); sizes != message.end()) {
    for (const char* name : {"nq", "nv", "nu", "na", "nbody", "nsensordata", "nmocap"}) {
      manifest.model_sizes[name] = sizes->value(name, 0);
    }
    manifest.model_sizes["timestep_secs"] = sizes->value("timestepSecs", 0.0);
  }
  if (manifest.resets.empty()) throw ControllerError("resets", "the manifest has no state to start from");
  if (manifest.physics_steps_per_control < 1) throw ControllerError("physics_steps_per_control", "must be at least 1");
  for (const OutputRole role : {OutputRole::kCtrl, OutputRole::kReward, OutputRole::kDone}) manifest.output(role);
  return manifest;
}

}  // namespace

std::size_t TensorSpec::size() const {
  std::size_t count = 1;
  for (const std::int64_t length : shape) count *= static_cast<std::size_t>(length);
  return count;
}

const GraphOutput& Manifest::output(OutputRole role) const {
  const auto found =
      std::find_if(outputs.begin(), outputs.end(), [&](const auto& entry) { return entry.role == role; });
  if (found != outputs.end()) return *found;
  const auto name = std::find_if(kRoles.begin(), kRoles.end(), [&](const auto& known) { return known.second == role; });
  throw ControllerError("outputs", "the manifest lists no " + name->first);
}

Manifest read_manifest(const std::filesystem::path& file) {
  std::ifstream stream(file);
  if (!stream) throw ControllerError("manifest.json", "cannot read " + file.string());
  try {
    return manifest_of(json::parse(stream));
  } catch (const json::exception& error) {
    throw ControllerError("manifest.json", std::string("is no controller manifest: ") + error.what());
  }
}

}  // namespace tabrl

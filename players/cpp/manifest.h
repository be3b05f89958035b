// What a player needs beside the graph: tabrl.exporter.v1.ControllerManifest, read from its protobuf JSON.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace tabrl {

// Numbers of any element type: a double holds every float32, int32, uint32 and truth value exactly.
using Values = std::vector<double>;
// Values by the name of an mjData array, a carry entry, or an input or output of the graph.
using NamedValues = std::map<std::string, Values>;

// A controller cannot be played; `field` names the part of manifest, graph or scene that is wrong.
class ControllerError : public std::runtime_error {
 public:
  ControllerError(const std::string& where, const std::string& what)
      : std::runtime_error(where + ": " + what), field(where) {}
  std::string field;
};

enum class DataType { kFloat32, kInt32, kUint32, kBool };
enum class InputSource { kData, kDataBefore, kCarry, kUniform, kNormal };
enum class OutputRole { kCtrl, kAction, kObservation, kCarry, kReward, kTerm, kDone, kState, kPush };

struct TensorSpec {
  std::string name;
  std::vector<std::int64_t> shape;
  DataType dtype;

  std::size_t size() const;  // number of elements
};

struct GraphInput {
  TensorSpec tensor;
  InputSource source;
  std::string field;  // mjData array or carry entry; empty for draws
};

struct GraphOutput {
  TensorSpec tensor;
  OutputRole role;
  std::string field;  // carry entry, reward term or state array
};

struct CarryCopy {
  std::string field;
  std::string input;
};

struct ResetState {
  NamedValues data;
  NamedValues carry;
};

struct VersionRange {
  std::string minimum;
  std::string below;
};

struct Manifest {
  int physics_steps_per_control = 0;
  int episode_length = 0;
  std::vector<GraphInput> inputs;
  std::vector<GraphOutput> outputs;
  std::vector<CarryCopy> copies;
  std::vector<ResetState> resets;
  std::optional<VersionRange> mujoco_versions;
  std::map<std::string, double> model_sizes;  // such as nq and timestep_secs; empty in manifests that do not say

  // The first output of a role; throws ControllerError when there is none.
  const GraphOutput& output(OutputRole role) const;
};

// Reads a manifest. Throws ControllerError when it is none, of another specification, or lacks what a player needs.
Manifest read_manifest(const std::filesystem::path& file);

}  // namespace tabrl

// The controller's ONNX graph in onnxruntime, by named arrays of numbers.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <filesystem>
#include <vector>

#include "manifest.h"

namespace tabrl {

class Graph {
 public:
  // Loads a graph. Throws ControllerError when onnxruntime cannot, or when the manifest names other inputs or outputs
  // than the graph has.
  Graph(const std::filesystem::path& file, const Manifest& manifest);

  // Runs the graph once. `feed` holds every input by its name; the result every output that the manifest names.
  NamedValues run(const NamedValues& feed);

 private:
  std::vector<TensorSpec> inputs_;
  std::vector<TensorSpec> outputs_;  // each name once
  Ort::Env env_{ORT_LOGGING_LEVEL_ERROR, "tabrl"};
  Ort::Session session_{nullptr};
  Ort::AllocatorWithDefaultOptions allocator_;

  void check_names() const;
};

}  // namespace tabrl

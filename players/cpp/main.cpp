// Plays a controller and writes one line of JSON per tick: step, reward, done, ctrl, qpos.
#include <cstdlib>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "player.h"

namespace {

constexpr const char* kUsage =
    "usage: tabrl-play FOLDER [--reset N] [--ticks N] [--hold ENTRY=NUMBER,NUMBER...]...\n"
    "  FOLDER   manifest.json, controller.onnx and scene/scene.xml with its assets\n"
    "  --reset  number of the reset state to start from; 0\n"
    "  --ticks  ticks to play at most; the whole episode\n"
    "  --hold   keep an entry of the carry at these numbers, such as command=0.5,0,0\n";

struct UsageError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

struct Options {
  std::string folder;
  int reset = 0;
  int ticks = std::numeric_limits<int>::max();
  tabrl::NamedValues held;
};

template <class T>
T number(const std::string& option, const std::string& text, T lowest) {
  std::istringstream stream(text);
  T value;
  if (!(stream >> value) || !stream.eof() || value < lowest) {
    throw UsageError(option + ": \"" + text + "\" does not do");
  }
  return value;
}

Options options_of(const std::vector<std::string>& arguments) {
  Options options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& name = arguments[i];
    if (name.rfind("--", 0) != 0) {
      if (!options.folder.empty()) throw UsageError(name + ": one folder at a time");
      options.folder = name;
      continue;
    }
    if (++i == arguments.size()) throw UsageError(name + ": a value is missing");
    const std::string& value = arguments[i];
    const std::size_t equals = value.find('=');
    if (name == "--reset") {
      options.reset = number<int>(name, value, 0);
    } else if (name == "--ticks") {
      options.ticks = number<int>(name, value, 1);
    } else if (name == "--hold" && equals != std::string::npos) {
      tabrl::Values& held = options.held[value.substr(0, equals)];
      std::istringstream numbers(value.substr(equals + 1));
      for (std::string part; std::getline(numbers, part, ',');) {
        held.push_back(number<double>(name, part, std::numeric_limits<double>::lowest()));
      }
    } else {
      throw UsageError(name + " " + value + ": no such option");
    }
  }
  if (options.folder.empty()) throw UsageError("a folder is missing");
  return options;
}

// The digits are the fewest that give the number again, 17 at most; what is not finite is null.
void print(const tabrl::Tick& tick) {
  std::cout << nlohmann::ordered_json{{"step", tick.step},
                                      {"reward", tick.reward},
                                      {"done", tick.done},
                                      {"ctrl", tick.ctrl},
                                      {"qpos", tick.qpos}}
            << "\n";
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const Options options = options_of({arguments + 1, arguments + count});
    tabrl::Player(options.folder).episode(options.reset, options.held, [&](const tabrl::Tick& tick) {
      print(tick);
      return tick.step + 1 < options.ticks;
    });
    return 0;
  } catch (const UsageError& error) {
    std::cerr << "error: " << error.what() << "\n" << kUsage;
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}

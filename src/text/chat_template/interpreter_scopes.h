// Helpers of the interpreter that open something and close it again, and the binding of targets
// and of macros' parameters.
#pragma once

#include <vector>

#include "text/chat_template/interpreter.h"

namespace mistral::text::jinja {

// Evaluation may recurse this many times deeper than macros do.
inline constexpr int kDepthPerCall = 20;

// Bounds the recursion of the interpreter, and so the use of the stack.
class Interpreter::Depth {
 public:
  explicit Depth(Interpreter& interpreter) : interpreter_(interpreter) {
    if (++interpreter_.depth_ > interpreter_.limits_.recursion * kDepthPerCall) {
      --interpreter_.depth_;
      throw limit_error("the evaluation nests deeper than {} levels",
                        interpreter_.limits_.recursion * kDepthPerCall);
    }
  }
  ~Depth() { --interpreter_.depth_; }
  Depth(const Depth&) = delete;
  Depth& operator=(const Depth&) = delete;

 private:
  Interpreter& interpreter_;
};

// Collects output instead of sending it on.
class Interpreter::Capture {
 public:
  explicit Capture(Interpreter& interpreter)
      : interpreter_(interpreter), previous_(interpreter.out_) {
    interpreter_.out_ = &sink_;
  }
  ~Capture() { interpreter_.out_ = previous_; }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  [[nodiscard]] std::string finish() { return sink_.finish(); }

 private:
  Interpreter& interpreter_;
  Sink* previous_;
  Sink sink_;
};

// Runs in another frame: a new one of a function that is called, or one that exists.
class Interpreter::FrameSwitch {
 public:
  FrameSwitch(Interpreter& interpreter, std::size_t size, Ref<FrameObject> parent)
      : interpreter_(interpreter), previous_(interpreter.frame_), called_(true) {
    if (interpreter_.call_depth_ >= interpreter_.limits_.recursion) {
      throw limit_error("calls nest deeper than {} levels", interpreter_.limits_.recursion);
    }
    interpreter_.frame_ = interpreter_.new_frame(size, std::move(parent));
    ++interpreter_.call_depth_;
  }
  FrameSwitch(Interpreter& interpreter, Ref<FrameObject> frame)
      : interpreter_(interpreter), previous_(interpreter.frame_), called_(false) {
    interpreter_.frame_ = std::move(frame);
  }
  ~FrameSwitch() {
    const Ref<FrameObject> left = std::exchange(interpreter_.frame_, std::move(previous_));
    if (!called_) return;
    --interpreter_.call_depth_;
    interpreter_.keep_spare(left);
  }
  FrameSwitch(const FrameSwitch&) = delete;
  FrameSwitch& operator=(const FrameSwitch&) = delete;

 private:
  Interpreter& interpreter_;
  Ref<FrameObject> previous_;
  const bool called_;
};

// The arguments of one call. Their memory is kept for the next call.
class Interpreter::ArgumentsLease {
 public:
  explicit ArgumentsLease(Interpreter& interpreter) : interpreter_(interpreter) {
    if (interpreter_.arguments_in_use_ == interpreter_.arguments_.size()) {
      interpreter_.arguments_.emplace_back();
    }
    args_ = &interpreter_.arguments_[interpreter_.arguments_in_use_++];
  }
  ~ArgumentsLease() {
    constexpr std::size_t kUsual = 32;
    args_->positional.clear();
    args_->keyword.clear();
    if (args_->positional.capacity() > kUsual) args_->positional = {};
    if (args_->keyword.capacity() > kUsual) args_->keyword = {};
    --interpreter_.arguments_in_use_;
  }
  ArgumentsLease(const ArgumentsLease&) = delete;
  ArgumentsLease& operator=(const ArgumentsLease&) = delete;
  [[nodiscard]] CallArgs& args() const { return *args_; }

 private:
  Interpreter& interpreter_;
  CallArgs* args_;
};

// Exactly `count` values of an iterable; throws ValueError for another number.
[[nodiscard]] std::vector<Value> unpack(const Value& value, std::size_t count);
// Assigns to a target whose names have the slots `slots`, in order from `next` on.
void assign_in_order(const Expr& target, const Value& value, const TargetSlots& slots,
                     FrameObject& frame, std::size_t& next);
// Distributes the arguments of a macro's call over its frame; parameters not given stay missing.
void bind_macro_arguments(const MacroFunction& macro, CallArgs& args, FrameObject& frame);

}  // namespace mistral::text::jinja

#include "gateway/app/gateway_main.h"

int main(int argc, char** argv) {
  return lp::gateway::app::gateway_main(argc, argv);
}

define("tarteaucitron", rest({
  state: {}, services: {}, user: {}, job: [], parameters: {},
  userInterface: rest({ openPanel: show }),
}));
